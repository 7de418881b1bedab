//! Who may have an account: the sign-up, and the account that is made at the start. Knows nothing of how accounts are kept.

use super::reader::Reader;
use super::{Mode, choice, refuse_weak, values, vars};
use crate::domain::account;
use crate::domain::ports::SignUp;
use crate::secret::Secret;

/// The account to be made at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAdmin {
    /// Its address.
    pub email: String,
    /// Its password.
    pub password: Secret,
}

/// Who may sign up unless it is said: in development anybody; in production the first alone, and nobody where whoever answers in the contract would
/// answer visitors of others too, which are served beside it.
pub(super) fn sign_up(reader: &mut Reader<'_>, mode: Mode, reaches_others: bool) -> SignUp {
    if mode == Mode::Production && reader.given(&vars::ADMIN_SIGNUP).is_none() {
        return if reaches_others { SignUp::Closed } else { SignUp::First };
    }
    choice(reader, &vars::ADMIN_SIGNUP, &[("open", SignUp::Open), ("first", SignUp::First), ("closed", SignUp::Closed)])
}

/// The password, as [`account::is_password`] demands.
pub(super) fn password(reader: &mut Reader<'_>, mode: Mode) -> Option<Secret> {
    let password = reader.parsed(&vars::ADMIN_PASSWORD, |text| account::is_password(text).then(|| text.to_owned()))?;
    refuse_weak(reader, mode, &vars::ADMIN_PASSWORD, values::is_placeholder(&password));
    Some(Secret::new(password))
}

/// The account of `ADMIN_EMAIL`. An address needs a password beside it; a password alone is for the command line.
pub(super) fn first(reader: &mut Reader<'_>, password: Option<&Secret>) -> Option<FirstAdmin> {
    let email = reader.parsed(&vars::ADMIN_EMAIL, |text| account::is_email(text).then(|| text.to_owned()));
    let is_given = |var| reader.given(var).is_some();
    match (is_given(&vars::ADMIN_EMAIL), is_given(&vars::ADMIN_PASSWORD)) {
        (true, false) => {
            reader.refuse_because(&vars::ADMIN_PASSWORD, &format!("{}, because ADMIN_EMAIL is set", vars::ADMIN_PASSWORD.expected))
        }
        (false, true) => {
            reader.warn("ADMIN_PASSWORD without ADMIN_EMAIL makes no account at the start; only `helpline admin create` reads it")
        }
        _ => {}
    }
    Some(FirstAdmin { email: email?, password: password?.clone() })
}
