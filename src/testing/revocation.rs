//! The revocation endpoint (RFC 7009). Spotify has none, so the RFC's rules and the token endpoint's
//! words.

use super::http::{Reply, Request};
use super::server::{Server, Standing};
use super::token::{self, Refusal, one, refusal};

impl Server {
    pub(super) fn revoke(&mut self, request: &Request) -> Reply {
        let form = match token::form(request) {
            Ok(form) => form,
            Err(reply) => return reply,
        };
        match self.end_token(request, &form) {
            // "The content of the response body is ignored by the client" (section 2.2).
            Ok(()) => Reply::new(200).header("Cache-Control", "no-store"),
            Err((error, description)) => refusal(400, error, description),
        }
    }

    fn end_token(&mut self, request: &Request, form: &token::Pairs) -> Result<(), Refusal> {
        // First who asks, then what for (section 2.1).
        self.authenticate(request, form)?;
        let name = one(form, "token")?.ok_or(("invalid_request", "token must be supplied"))?;
        // The hint saves a search where tokens are many; a wrong one must not matter (section 2.1).
        one(form, "token_type_hint")?;
        if let Some(token) = self.refresh_tokens.get(name) {
            // One that was replaced is as dead as an unknown one, and takes nothing with it.
            if token.standing == Standing::Live {
                self.end_login(token.login);
            }
        } else {
            self.access_tokens.remove(name);
        }
        Ok(())
    }
}
