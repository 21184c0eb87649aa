//! The table of alerts in the documentation, made of the alerting rules.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// The alerting rules.
const RULES: &str = "deploy/prometheus/alerts.yml";

/// The page with the table.
const PAGE: &str = "docs/METRICS.md";

/// First lines of the table.
const HEADER: &str = "| alert | symptom | likely cause | remedy |\n|---|---|---|---|\n";

/// Writes the table anew.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let page = workspace.root().join(PAGE);
    let written = with_table(&read(workspace, PAGE)?, &read(workspace, RULES)?)?;
    fs::write(page, written).with_context(|| format!("cannot write {PAGE}"))
}

fn read(workspace: &Workspace, path: &str) -> Result<String> {
    fs::read_to_string(workspace.root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The page with the table of these rules in place of the one that it has.
fn with_table(page: &str, rules: &str) -> Result<String> {
    let (before, table) =
        page.split_once(HEADER).with_context(|| format!("{PAGE} has no table of alerts"))?;
    let rows = table.split_inclusive('\n').take_while(|line| line.starts_with('|'));
    let after = table.get(rows.map(str::len).sum()..).unwrap_or_default();
    Ok(format!("{before}{HEADER}{}{after}", table_of(rules)?))
}

/// A row for each rule, in their order.
fn table_of(rules: &str) -> Result<String> {
    let mut table = String::new();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default().trim();
        let annotation =
            |key| annotation(rule, key).with_context(|| format!("{name} has no {key}"));
        let (summary, cause) = (annotation("summary")?, annotation("cause")?);
        let remedy = annotation("remedy")?;
        if [&summary, &cause, &remedy].iter().any(|text| text.contains('|')) {
            bail!("{name} has a `|` in a text, which would end a cell of the table");
        }
        writeln!(table, "| `{name}` | {summary} | {cause} | {remedy} |")?;
    }
    Ok(table)
}

/// The text of an annotation, which stands behind its key, or folded below it.
fn annotation(rule: &str, key: &str) -> Option<String> {
    let (_, annotations) = rule.split_once("annotations:\n")?;
    let mut lines = annotations.lines();
    let begin = format!("{key}: ");
    let first = lines.find_map(|line| line.trim_start().strip_prefix(&begin))?;
    if first != ">-" {
        return Some(first.to_owned());
    }
    // A key has ten spaces before it, a folded line twelve.
    let folded = lines.take_while(|line| line.starts_with("            "));
    Some(folded.map(str::trim).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_alerts_is_made_of_the_rules() {
        let workspace = Workspace::find().unwrap();
        let (page, rules) = (read(&workspace, PAGE).unwrap(), read(&workspace, RULES).unwrap());
        let made = with_table(&page, &rules).unwrap();
        assert!(page == made, "{PAGE} is not made of {RULES}: run `cargo xtask alerts`");
    }

    #[test]
    fn a_text_may_be_folded_and_none_may_be_missing() {
        let rule = "\
      - alert: A
        expr: a > 1
        annotations:
          summary: It is
          cause: >-
            one reason,
            or another
          remedy: wait

      - alert: B
        annotations:
          summary: It is
";
        let page = format!("before\n\n{HEADER}| former |\n\nafter\n");
        let missing = with_table(&page, rule).unwrap_err().to_string();
        assert_eq!(missing, "B has no cause");
        let (first, _) = rule.split_once("\n\n").unwrap();
        let expected =
            format!("before\n\n{HEADER}| `A` | It is | one reason, or another | wait |\n\nafter\n");
        assert_eq!(with_table(&page, first).unwrap(), expected);
    }
}
