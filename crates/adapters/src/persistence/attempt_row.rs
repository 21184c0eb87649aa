//! Attempts as rows, and back.

use ig_domain::ports::{GraphFacts, StoreError, TokenCipher};
use ig_domain::{
    AccountId, AppId, CodeHash, Consent, LinkAttempt, LinkOutcome, LinkRefusal, Phase,
    SessionBindingHash, ShortLivedGrant, StateHash,
};
use sea_orm::ActiveValue::Set;
use time::OffsetDateTime;

use super::columns::{
    granted_list, granted_scopes, hash, instant, link_end, link_end_name, micros, parse, present,
    requested_scopes, scope_list, scopes,
};
use super::entity::link_attempt::{ActiveModel, Model};
use super::tokens::{open_short_lived, seal_short_lived};

pub(super) const UNSENT: &str = "unsent";
pub(super) const SENT: &str = "sent";
pub(super) const EXCHANGED: &str = "exchanged";
/// The phase of attempts that nothing more will happen to.
pub(super) const ENDED: &str = "ended";
const LINKED: &str = "linked";

/// The columns of a new attempt, but for its lease.
pub(super) fn to_row(
    cipher: &dyn TokenCipher,
    app: &AppId,
    attempt: &LinkAttempt,
) -> Result<ActiveModel, StoreError> {
    let LinkAttempt {
        code,
        state,
        owner,
        session_binding,
        redirect_uri,
        end,
        scopes,
        account,
        create_time,
        phase,
    } = attempt;
    Ok(ActiveModel {
        app_id: Set(app.as_str().to_owned()),
        code_hash: Set(code.as_bytes().to_vec()),
        state_hash: Set(state.as_bytes().to_vec()),
        owner: Set(owner.to_string()),
        session_binding_hash: Set(session_binding.as_bytes().to_vec()),
        redirect_uri: Set(redirect_uri.as_str().to_owned()),
        link_end: Set(link_end_name(*end).map(str::to_owned)),
        scopes: Set(scope_list(scopes.iter())),
        account_id: Set(account.map(|id| *id.as_uuid())),
        create_time: Set(micros(*create_time)),
        ..phase_columns(cipher, code, phase)?
    })
}

/// All columns that tell the phase: what another phase left in them is erased.
pub(super) fn phase_columns(
    cipher: &dyn TokenCipher,
    code: &CodeHash,
    phase: &Phase,
) -> Result<ActiveModel, StoreError> {
    Ok(match phase {
        Phase::Unsent => bare_columns(UNSENT),
        Phase::Sent => bare_columns(SENT),
        Phase::Exchanged(ShortLivedGrant { token, consent }) => {
            let Consent { receive_time, user_id, granted_scopes } = consent;
            ActiveModel {
                sealed_token: Set(Some(seal_short_lived(cipher, code, token)?)),
                receive_time: Set(Some(micros(*receive_time))),
                user_id: Set(user_id.as_ref().map(ToString::to_string)),
                granted_scopes: Set(granted_list(granted_scopes)),
                ..bare_columns(EXCHANGED)
            }
        }
        Phase::Ended { outcome, end_time } => ended_columns(outcome, *end_time),
    })
}

/// The [`phase_columns`] of an attempt that has ended, which need no cipher.
pub(super) fn ended_columns(outcome: &LinkOutcome, end_time: OffsetDateTime) -> ActiveModel {
    let ended = ActiveModel { end_time: Set(Some(micros(end_time))), ..bare_columns(ENDED) };
    match outcome {
        LinkOutcome::Linked { account, created, missing_scopes } => ActiveModel {
            outcome: Set(Some(LINKED.to_owned())),
            linked_account_id: Set(Some(*account.as_uuid())),
            created: Set(Some(*created)),
            missing_scopes: Set(Some(scope_list(missing_scopes))),
            ..ended
        },
        LinkOutcome::Refused(refusal) => {
            let ended =
                ActiveModel { outcome: Set(Some(refusal_name(refusal).to_owned())), ..ended };
            with_details(ended, refusal)
        }
    }
}

fn bare_columns(phase: &str) -> ActiveModel {
    ActiveModel {
        phase: Set(phase.to_owned()),
        sealed_token: Set(None),
        receive_time: Set(None),
        user_id: Set(None),
        granted_scopes: Set(None),
        outcome: Set(None),
        end_time: Set(None),
        linked_account_id: Set(None),
        created: Set(None),
        missing_scopes: Set(None),
        graph_code: Set(None),
        graph_subcode: Set(None),
        fbtrace_id: Set(None),
        ..ActiveModel::default()
    }
}

fn refusal_name(refusal: &LinkRefusal) -> &'static str {
    match refusal {
        LinkRefusal::CodeRejected(_) => "code_rejected",
        LinkRefusal::PersonalAccount => "personal_account",
        LinkRefusal::ScopeMissing { .. } => "scope_missing",
        LinkRefusal::WrongAccount => "wrong_account",
        LinkRefusal::OwnedByAnother => "owned_by_another",
        LinkRefusal::Interrupted => "interrupted",
        LinkRefusal::Unreadable(_) => "unreadable",
    }
}

fn with_details(ended: ActiveModel, refusal: &LinkRefusal) -> ActiveModel {
    match refusal {
        LinkRefusal::CodeRejected(facts) | LinkRefusal::Unreadable(facts) => ActiveModel {
            graph_code: Set(facts.code),
            graph_subcode: Set(facts.subcode),
            fbtrace_id: Set(facts.fbtrace_id.clone()),
            ..ended
        },
        LinkRefusal::ScopeMissing { missing } => {
            ActiveModel { missing_scopes: Set(Some(scope_list(missing))), ..ended }
        }
        LinkRefusal::PersonalAccount
        | LinkRefusal::WrongAccount
        | LinkRefusal::OwnedByAnother
        | LinkRefusal::Interrupted => ended,
    }
}

/// The attempt that a row keeps.
pub(super) fn to_domain(cipher: &dyn TokenCipher, row: &Model) -> Result<LinkAttempt, StoreError> {
    let code = CodeHash::from_bytes(hash("code_hash", &row.code_hash)?);
    let session_binding = hash("session_binding_hash", &row.session_binding_hash)?;
    Ok(LinkAttempt {
        code,
        state: StateHash::from_bytes(hash("state_hash", &row.state_hash)?),
        owner: parse("owner", &row.owner)?,
        session_binding: SessionBindingHash::from_bytes(session_binding),
        redirect_uri: parse("redirect_uri", &row.redirect_uri)?,
        end: link_end("link_end", row.link_end.as_deref())?,
        scopes: requested_scopes("scopes", &row.scopes)?,
        account: row.account_id.map(AccountId::from_uuid),
        create_time: instant("create_time", row.create_time)?,
        phase: phase(cipher, &code, row)?,
    })
}

fn phase(cipher: &dyn TokenCipher, code: &CodeHash, row: &Model) -> Result<Phase, StoreError> {
    match row.phase.as_str() {
        UNSENT => Ok(Phase::Unsent),
        EXCHANGED => grant(cipher, code, row).map(Phase::Exchanged),
        ENDED => Ok(Phase::Ended {
            outcome: outcome(row)?,
            end_time: instant("end_time", present("end_time", row.end_time)?)?,
        }),
        // `SENT`, or a newer version's phase: the code may have been sent, and what came of it is not known here.
        _ => Ok(Phase::Sent),
    }
}

fn grant(
    cipher: &dyn TokenCipher,
    code: &CodeHash,
    row: &Model,
) -> Result<ShortLivedGrant, StoreError> {
    let sealed = present("sealed_token", row.sealed_token.as_deref())?;
    let receive_time = present("receive_time", row.receive_time)?;
    Ok(ShortLivedGrant {
        token: open_short_lived(cipher, code, sealed)?,
        consent: Consent {
            receive_time: instant("receive_time", receive_time)?,
            user_id: row.user_id.as_deref().map(|id| parse("user_id", id)).transpose()?,
            granted_scopes: granted_scopes(row.granted_scopes.as_deref()),
        },
    })
}

fn outcome(row: &Model) -> Result<LinkOutcome, StoreError> {
    let name = present("outcome", row.outcome.as_deref())?;
    if name != LINKED {
        return Ok(LinkOutcome::Refused(refusal(name, row)));
    }
    let account = present("linked_account_id", row.linked_account_id)?;
    let missing = present("missing_scopes", row.missing_scopes.as_deref())?;
    Ok(LinkOutcome::Linked {
        account: AccountId::from_uuid(account),
        created: present("created", row.created)?,
        missing_scopes: scopes(missing),
    })
}

/// The refusal that [`refusal_name`] kept. Whatever a newer version calls it, the link is to begin anew.
fn refusal(name: &str, row: &Model) -> LinkRefusal {
    let facts = GraphFacts {
        code: row.graph_code,
        subcode: row.graph_subcode,
        fbtrace_id: row.fbtrace_id.clone(),
    };
    let missing = scopes(row.missing_scopes.as_deref().unwrap_or_default());
    let known = [
        LinkRefusal::CodeRejected(facts.clone()),
        LinkRefusal::PersonalAccount,
        LinkRefusal::ScopeMissing { missing },
        LinkRefusal::WrongAccount,
        LinkRefusal::OwnedByAnother,
        LinkRefusal::Interrupted,
        LinkRefusal::Unreadable(facts),
    ];
    let mut known = known.into_iter();
    known.find(|refusal| refusal_name(refusal) == name).unwrap_or(LinkRefusal::Interrupted)
}
