//! What a `Get` costs a process that has just started: none of its accounts is in memory yet.

use anyhow::Result;

use super::rows::{Row, print};
use super::{ACCOUNTS, Asked, Server, Service};
use crate::bench::load::Load;
use crate::console::Step;
use crate::workspace::Workspace;

/// Each account once, by its `instagram_id`.
const FIRST: [Asked; 1] = [Asked { key: "first", accounts: ACCOUNTS }];

/// Measures new processes of `services` and the bare servers in turn, and prints a table.
pub(super) fn measure(
    workspace: &Workspace,
    bare: &[Server],
    services: [&Service; 2],
    rounds: u32,
) -> Result<()> {
    let load = Load::SIXTY_FOUR;
    let step = Step::begin(format!("{load}, each account for the first time"));
    let mut of_bare: Vec<Row> = bare.iter().flat_map(Row::of).collect();
    let first = services.map(|service| Server { asked: &FIRST, ..service.server() });
    let mut of_services: Vec<Row> = first.iter().flat_map(Row::of).collect();
    for _ in 0..rounds {
        for row in &mut of_bare {
            row.measure(workspace, load, ACCOUNTS)?;
        }
        for (row, service) in of_services.iter_mut().zip(services) {
            let started = service.another(service.name, [])?;
            (row.server.address, row.server.process) =
                (started.server.address, started.server.process);
            row.measure(workspace, load, ACCOUNTS)?;
        }
    }
    step.done();
    of_bare.append(&mut of_services);
    print(load, ACCOUNTS, rounds, &of_bare);
    Ok(())
}
