//! Account documents; an address is kept to one account of its realm by an index. What a password hash holds is not known here.

use bson::{Document, doc};
use mongodb::{Collection, IndexModel};

use crate::domain::account::{Account, PasswordHash};
use crate::domain::error::StoreError;
use crate::domain::ids::AccountId;
use crate::domain::principal::Realm;

use super::documents::{from_account, id, to_account};
use super::errors::duplicate_index;
use super::open::unique;

/// The index that keeps an address to one account.
const EMAIL: &str = "accounts_realm_email";

/// What the accounts are found by.
pub(super) fn indexes() -> Vec<IndexModel> {
    vec![unique(EMAIL, doc! { "realm": 1, "email": 1 }, None)]
}

/// Creates first and reads what is there on a clash. A repeated insert finds its own and answers as the first one did.
pub(super) async fn insert(accounts: &Collection<Document>, account: &Account) -> Result<bool, StoreError> {
    loop {
        let Err(error) = accounts.insert_one(from_account(account)).await else { return Ok(true) };
        let present = match duplicate_index(&error).as_deref() {
            Some(EMAIL) => find_by_email(accounts, account.realm, &account.email).await?,
            Some("_id_") => find(accounts, &account.id).await?,
            _ => return Err(error.into()),
        };
        if let Some(present) = present {
            return Ok(present.id == account.id && present.email == account.email);
        }
        // A majority may not have it yet, or it was removed since. The caller's limit bounds the tries.
        super::commit::pause().await;
    }
}

pub(super) async fn find(accounts: &Collection<Document>, account: &AccountId) -> Result<Option<Account>, StoreError> {
    accounts.find_one(doc! { "_id": id(account.as_str()) }).await?.as_ref().map(to_account).transpose()
}

pub(super) async fn find_by_email(accounts: &Collection<Document>, realm: Realm, email: &str) -> Result<Option<Account>, StoreError> {
    accounts.find_one(doc! { "realm": realm.name(), "email": email }).await?.as_ref().map(to_account).transpose()
}

pub(super) async fn count(accounts: &Collection<Document>, realm: Realm) -> Result<u64, StoreError> {
    Ok(accounts.count_documents(doc! { "realm": realm.name() }).await?)
}

pub(super) async fn remove(accounts: &Collection<Document>, account: &AccountId) -> Result<(), StoreError> {
    accounts.delete_one(doc! { "_id": id(account.as_str()) }).await?;
    Ok(())
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
