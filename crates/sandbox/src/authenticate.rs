//! Token and account of a call, and whether the token still counts.

use crate::account::Account;
use crate::accounts::AccountIndex;
use crate::call::Call;
use crate::endpoint::{Endpoint, Node};
use crate::grants::{Grant, Token, Trouble};
use crate::graph_error::GraphError;
use crate::world::World;

impl World {
    /// The token that the call carries, or why it is refused.
    pub(crate) fn living_token(&self, call: &Call) -> Result<&Token, GraphError> {
        let token = self.grants.token(call.token()).ok_or_else(GraphError::unreadable_token)?;
        let now = self.clock.now();
        match self.grants.trouble(token) {
            Some(Trouble::Checkpoint) | None if token.expires <= now => {
                Err(GraphError::expired(token.expires, now))
            }
            Some(trouble) => Err(GraphError::trouble(trouble, &self.app.id)),
            None => Ok(token),
        }
    }

    /// The token's account, if the path means it: by `me` or by either of its ids.
    pub(crate) fn account_of(
        &self,
        token: &Token,
        node: &Node,
        call: &Call,
    ) -> Result<&Account, GraphError> {
        let account = self.accounts.get(token.grant.account);
        let account = account.ok_or_else(GraphError::unreadable_token)?;
        match node {
            Node::Id(id) if *id != account.id && *id != account.user_id => {
                Err(GraphError::missing_object(id, &call.method_name()))
            }
            _ => Ok(account),
        }
    }

    /// The account that the call is about, however its code or token stands.
    pub(crate) fn account_meant(&self, call: &Call) -> Option<AccountIndex> {
        let grant: &Grant = match call.endpoint {
            Endpoint::Token => &self.grants.code(call.form.text("code"))?.grant,
            _ => &self.grants.token(call.token())?.grant,
        };
        Some(grant.account)
    }
}
