//! Login documents. Whether one has ended is not decided here, and no index removes it by its age: the port answers ended ones too.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::{Collection, IndexModel};

use crate::domain::account::Login;
use crate::domain::error::StoreError;
use crate::domain::ids::{AccountId, LoginId};

use super::documents::{from_login, id, moment, to_id, to_login};
use super::errors::duplicate_index;
use super::open::index;

/// What the logins are found by.
pub(super) fn indexes() -> Vec<IndexModel> {
    vec![index("logins_account_expires", doc! { "account": 1, "expiresAt": 1 })]
}

/// Removes what ended before, then stores the login. A repeated insert finds its own.
pub(super) async fn insert(logins: &Collection<Document>, login: &Login) -> Result<(), StoreError> {
    logins.delete_many(doc! { "account": id(login.account.as_str()), "expiresAt": { "$lt": moment(login.created_at) } }).await?;
    loop {
        let Err(error) = logins.insert_one(from_login(login)).await else { return Ok(()) };
        if duplicate_index(&error).is_none() {
            return Err(error.into());
        }
        match find(logins, &login.id).await? {
            Some(stored) if stored == *login => return Ok(()),
            // One secret must never open what another person proved.
            Some(_) => return Err(error.into()),
            // A majority may not have it yet, or it was removed since. The caller's limit bounds the tries.
            None => super::commit::pause().await,
        }
    }
}

pub(super) async fn find(logins: &Collection<Document>, login: &LoginId) -> Result<Option<Login>, StoreError> {
    logins.find_one(doc! { "_id": id(login.as_str()) }).await?.as_ref().map(to_login).transpose()
}

pub(super) async fn find_all(logins: &Collection<Document>, wanted: &[LoginId]) -> Result<Vec<LoginId>, StoreError> {
    let ids: Vec<Bson> = wanted.iter().map(|login| id(login.as_str())).collect();
    let found = logins.find(doc! { "_id": { "$in": ids } }).projection(doc! { "_id": 1 }).await?;
    found.try_collect::<Vec<_>>().await?.iter().map(|login| to_id(login).map(LoginId::stored)).collect()
}

pub(super) async fn remove(logins: &Collection<Document>, login: &LoginId) -> Result<bool, StoreError> {
    Ok(logins.delete_one(doc! { "_id": id(login.as_str()) }).await?.deleted_count == 1)
}

/// Removes all logins of an account.
pub(super) async fn remove_all(logins: &Collection<Document>, account: &AccountId) -> Result<(), StoreError> {
    logins.delete_many(doc! { "account": id(account.as_str()) }).await?;
    Ok(())
}
