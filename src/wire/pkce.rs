//! State and PKCE verifier of one login (RFC 6749 section 10.12, RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The two random values of one login: `state` and the PKCE `code_verifier`.
///
/// Entropy is an argument because the machine draws none of its own. Each login needs a fresh value:
/// the state is what keeps a forged redirect out, the verifier what makes a stolen code useless.
///
/// ```
/// # let from_your_rng = std::array::from_fn(|at| at as u8);
/// let secrets = authflow::LoginSecrets::from_entropy(from_your_rng);
/// assert_eq!(format!("{secrets:?}"), "LoginSecrets([redacted])");
/// ```
#[doc(alias = "CsrfToken")]
#[doc(alias = "PkceCodeVerifier")]
#[doc(alias = "PkceCodeChallenge")]
#[doc(alias = "state")]
#[doc(alias = "code_verifier")]
#[derive(Clone, PartialEq, Eq)]
pub struct LoginSecrets {
    pub(crate) state: Secret,
    pub(crate) verifier: Secret,
}

impl LoginSecrets {
    /// From 64 bytes of a cryptographic random generator: the first 32 become the state, the last 32
    /// the verifier, each as 43 characters of unpadded base64url (RFC 7636 section 4.1).
    #[must_use]
    pub fn from_entropy(entropy: [u8; 64]) -> Self {
        let entropy = Zeroizing::new(entropy);
        let (state, verifier) = entropy.split_at(32);
        Self {
            state: URL_SAFE_NO_PAD.encode(state).into(),
            verifier: URL_SAFE_NO_PAD.encode(verifier).into(),
        }
    }
}

impl std::fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginSecrets([redacted])")
    }
}

/// The S256 `code_challenge` of a verifier (RFC 7636 section 4.2).
pub(crate) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7636_appendix_b() {
        let verifier = Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(&verifier), expected);
    }
}
