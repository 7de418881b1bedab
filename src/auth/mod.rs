//! Credentials: tokens, the API key and passwords, checked and issued behind the domain's ports. Knows no wire, no store and no configuration.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::domain::error::Error;
use crate::domain::ids::random_secret;
use crate::domain::ports::{Authority, Credential, IssuedToken, SignUp};
use crate::domain::principal::{Person, Principal, Realm};
use crate::domain::time::Timestamp;
use crate::secret::Secret;

mod api_key;
mod fingerprint;
pub mod password;
mod token;

use api_key::ApiKey;
use token::Tokens;

/// What the checks depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Signs tokens. Whoever knows it can be anybody.
    pub jwt_secret: Secret,
    /// The company's API key; without one no key is accepted.
    pub api_key: Option<Secret>,
    /// Whether visitors' tokens are issued to anybody who asks.
    pub visitor_tokens_open: bool,
    /// Whether trusted peers may open sockets without a credential.
    pub allow_anonymous: bool,
    /// Who may sign up for an account.
    pub sign_up: SignUp,
    /// From when on tokens without an audience, which the original server issued, are refused.
    pub legacy_tokens_until: Timestamp,
}

/// The one judge of credentials.
pub struct Auth {
    tokens: Tokens,
    api_key: ApiKey,
    visitor_tokens_open: bool,
    allow_anonymous: bool,
    sign_up: SignUp,
}

impl Auth {
    /// Prepares the keys. An empty API key counts as none.
    pub fn new(settings: Settings) -> Self {
        Self {
            tokens: Tokens::new(&settings.jwt_secret, settings.legacy_tokens_until),
            api_key: ApiKey::new(settings.api_key.as_ref()),
            visitor_tokens_open: settings.visitor_tokens_open,
            allow_anonymous: settings.allow_anonymous,
            sign_up: settings.sign_up,
        }
    }
}

impl Authority for Auth {
    fn verify(&self, realm: Realm, credential: &Credential, now: Timestamp) -> Result<Principal, Error> {
        match credential {
            Credential::Token(token) => self.tokens.verify(realm, token, now).ok_or(Error::InvalidToken),
            Credential::ApiKey(key) if self.api_key.matches(key) => Ok(Principal::Delegate { realm, has_key: true }),
            Credential::ApiKey(_) => Err(Error::WrongKey),
            Credential::Login(_) => Err(Error::InvalidToken),
        }
    }

    /// Refuses ([`Error::Forbidden`]) an id that is empty, longer than 256 bytes, or holds control characters; and in `widget` whoever is no agent,
    /// or has no such e-mail address.
    fn issue(&self, person: &Person, now: Timestamp) -> Result<IssuedToken, Error> {
        self.tokens.issue(person, now)
    }

    fn visitor_tokens_are_open(&self) -> bool {
        self.visitor_tokens_open
    }

    fn sign_up(&self) -> SignUp {
        self.sign_up
    }

    fn anonymous_sockets_are_allowed(&self) -> bool {
        self.allow_anonymous
    }
}

/// The secret in the file `jwt-secret` of this folder, which only the owner may read. Creates both where they are missing; processes that do so
/// at once end with the same secret. Fails if the file holds fewer than 32 characters, or the folder cannot be written.
pub fn load_or_create_secret(data_dir: &Path) -> io::Result<Secret> {
    let path = data_dir.join("jwt-secret");
    match read_secret(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        known => return known,
    }
    fs::create_dir_all(data_dir)?;
    let fresh = random_secret();
    // Written whole under another name first: a link appears at once and, unlike a renamed file, never replaces another.
    let draft = data_dir.join(format!(".jwt-secret-{}", random_secret()));
    let linked = write_private(&draft, &fresh).and_then(|()| fs::hard_link(&draft, &path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => removed.and_then(|()| read_secret(&path)),
    }
}

fn read_secret(path: &Path) -> io::Result<Secret> {
    let text = fs::read_to_string(path)?;
    let secret = text.trim();
    if secret.chars().count() < 32 {
        let said = format!("{} holds fewer than 32 characters; delete it to have a new one made", path.display());
        return Err(io::Error::new(ErrorKind::InvalidData, said));
    }
    Ok(Secret::new(secret))
}

fn write_private(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn the_secret_is_made_once_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("new").join("data");
        let first = load_or_create_secret(&data).unwrap();
        assert_eq!(first.expose().len(), 96);
        assert_eq!(load_or_create_secret(&data).unwrap(), first);
        let mode = fs::metadata(data.join("jwt-secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_at_once_end_with_the_same_secret() {
        let folder = tempfile::tempdir().unwrap();
        let start = Barrier::new(8);
        let secrets: Vec<Secret> = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                load_or_create_secret(folder.path()).unwrap()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|s| *s == secrets[0]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_secret_file_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("jwt-secret"), "tooshort\n").unwrap();
        let error = load_or_create_secret(folder.path()).unwrap_err();
        assert!(error.to_string().contains("jwt-secret") && !error.to_string().contains("tooshort"));
    }
}
