//! Account documents; an address and a username are kept to one account of their realm by an index each. What a password hash holds is not known here.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::options::ReturnDocument;
use mongodb::{Collection, IndexModel};

use crate::domain::account::{Account, AccountChange, PasswordHash};
use crate::domain::error::StoreError;
use crate::domain::ids::AccountId;
use crate::domain::principal::{Realm, Role};
use crate::domain::time::Timestamp;

use super::documents::{from_account, id, moment, to_account};
use super::errors::duplicate_index;
use super::logins;
use super::open::{index, unique};

/// The index that keeps an address to one account.
const EMAIL: &str = "accounts_realm_email";

/// The index that keeps a username to one account. No update takes a username away: some servers of this protocol would never give it out again.
const USERNAME: &str = "accounts_realm_username";

/// What the accounts are found by.
pub(super) fn indexes() -> Vec<IndexModel> {
    vec![
        unique(EMAIL, doc! { "realm": 1, "email": 1 }, None),
        unique(USERNAME, doc! { "realm": 1, "username": 1 }, Some(doc! { "username": { "$type": "string" } })),
        index("accounts_realm_role_created", doc! { "realm": 1, "role": 1, "createdAt": 1, "_id": 1 }),
    ]
}

/// Creates first and reads what is there on a clash. A repeated insert finds its own and answers as the first one did.
pub(super) async fn insert(accounts: &Collection<Document>, account: &Account) -> Result<bool, StoreError> {
    loop {
        let Err(error) = accounts.insert_one(from_account(account)).await else { return Ok(true) };
        let present = match duplicate_index(&error).as_deref() {
            Some(EMAIL) => find_by_email(accounts, account.realm, &account.email).await?,
            Some(USERNAME) => find_by_username(accounts, account).await?,
            Some("_id_") => find(accounts, &account.id).await?,
            _ => return Err(error.into()),
        };
        if let Some(present) = present {
            return Ok(present.id == account.id && present.email == account.email && present.username == account.username);
        }
        // A majority may not have it yet, or it was removed since. The caller's limit bounds the tries.
        super::commit::pause().await;
    }
}

pub(super) async fn find(accounts: &Collection<Document>, account: &AccountId) -> Result<Option<Account>, StoreError> {
    accounts.find_one(doc! { "_id": id(account.as_str()) }).await?.as_ref().map(to_account).transpose()
}

pub(super) async fn find_all(accounts: &Collection<Document>, wanted: &[AccountId]) -> Result<Vec<Account>, StoreError> {
    let ids: Vec<Bson> = wanted.iter().map(|account| id(account.as_str())).collect();
    let found: Vec<Document> = accounts.find(doc! { "_id": { "$in": ids } }).await?.try_collect().await?;
    found.iter().map(to_account).collect()
}

pub(super) async fn find_by_email(accounts: &Collection<Document>, realm: Realm, email: &str) -> Result<Option<Account>, StoreError> {
    accounts.find_one(doc! { "realm": realm.name(), "email": email }).await?.as_ref().map(to_account).transpose()
}

/// The account that has the username of this one in its realm.
async fn find_by_username(accounts: &Collection<Document>, account: &Account) -> Result<Option<Account>, StoreError> {
    let Some(username) = account.username.as_deref() else { return Ok(None) };
    // Equality alone does not tell the planner that the partial index applies.
    let named = doc! { "realm": account.realm.name(), "username": { "$eq": username, "$type": "string" } };
    accounts.find_one(named).await?.as_ref().map(to_account).transpose()
}

pub(super) async fn list(accounts: &Collection<Document>, realm: Realm, roles: &[Role], limit: u32) -> Result<Vec<Account>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new()); // To MongoDB a limit of 0 means none.
    }
    let mut names: Vec<Bson> = roles.iter().map(|role| role.name().into()).collect();
    if roles.contains(&Role::Agent) {
        names.push(Bson::Null); // Documents of an earlier version have no role; all of them are agents'.
    }
    let filter = doc! { "realm": realm.name(), "role": { "$in": names } };
    let found = accounts.find(filter).sort(doc! { "createdAt": -1, "_id": -1 }).limit(i64::from(limit));
    found.await?.try_collect::<Vec<_>>().await?.iter().map(to_account).collect()
}

pub(super) async fn change(
    accounts: &Collection<Document>,
    account: &AccountId,
    change: &AccountChange,
    now: Timestamp,
) -> Result<Option<Account>, StoreError> {
    let AccountChange { status, seen_at } = change;
    let mut fields = doc! { "updatedAt": moment(now) };
    fields.extend(status.map(|status| ("status".to_owned(), status.name().into())));
    fields.extend(seen_at.map(|at| ("seenAt".to_owned(), moment(at))));
    let changed = accounts.find_one_and_update(doc! { "_id": id(account.as_str()) }, doc! { "$set": fields });
    changed.return_document(ReturnDocument::After).await?.as_ref().map(to_account).transpose()
}

pub(super) async fn count(accounts: &Collection<Document>, realm: Realm) -> Result<u64, StoreError> {
    Ok(accounts.count_documents(doc! { "realm": realm.name() }).await?)
}

/// The account first: from then on none of its logins proves anything, and repeating what was cut short removes the rest of them.
pub(super) async fn remove(accounts: &Collection<Document>, logins: &Collection<Document>, account: &AccountId) -> Result<(), StoreError> {
    accounts.delete_one(doc! { "_id": id(account.as_str()) }).await?;
    logins::remove_all(logins, account).await
}

pub(super) async fn replace_password(
    accounts: &Collection<Document>,
    account: &AccountId,
    from: &PasswordHash,
    to: &PasswordHash,
) -> Result<bool, StoreError> {
    let unchanged = doc! { "_id": id(account.as_str()), "password": from.expose() };
    let update = doc! { "$set": { "password": to.expose() } };
    Ok(accounts.update_one(unchanged, update).await?.matched_count == 1)
}
