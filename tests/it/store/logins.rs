//! Logins: found until they are removed, one by one, with their account, or by the next one of their account after they ended.

use helpline::domain::account::Login;
use helpline::domain::error::StoreError;
use helpline::domain::ids::{AccountId, LoginId};

use super::accounts::named;
use super::*;

/// A login of this account from one moment to another, in milliseconds after the suite's present.
pub(super) fn login(id: &str, account: &AccountId, began: i64, ends: i64) -> Login {
    Login { id: LoginId::stored(id), account: account.clone(), created_at: at(began), expires_at: at(ends) }
}

async fn inserted(store: &dyn Store, id: &str, account: &AccountId, began: i64, ends: i64) -> Login {
    let login = login(id, account, began, ends);
    store.insert_login(&login).await.unwrap();
    login
}

/// Which of these logins are stored.
async fn kept<'a>(store: &dyn Store, ids: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    for id in ids {
        if store.find_login(&LoginId::stored(*id)).await.unwrap().is_some() {
            kept.push(*id);
        }
    }
    kept
}

pub(super) async fn a_login_is_found_until_one_removes_it(store: Arc<dyn Store>) {
    let (ann, bob) = (AccountId::random(), AccountId::stored("507f1f77bcf86cd799439011"));
    let ids = ["5f", "5F", "507f1f77bcf86cd799439011", "$gt", "a\0b"];
    for (n, id) in (0..).zip(ids) {
        let account = if n % 2 == 0 { &ann } else { &bob };
        let login = inserted(&*store, id, account, n - 99, -n).await;
        assert_eq!(store.find_login(&login.id).await.unwrap(), Some(login.clone()), "also one that has ended");
        store.insert_login(&login).await.unwrap();
        assert_eq!(store.find_login(&login.id).await.unwrap(), Some(login), "repeating finds its own");
    }
    let id = LoginId::stored("5f");
    let removals = (0..10).map(|_| {
        let (store, id) = (store.clone(), id.clone());
        async move { store.remove_login(&id).await.unwrap() }
    });
    assert_eq!(all(removals).await.into_iter().filter(|removed| *removed).count(), 1);
    assert_eq!(kept(&*store, &ids).await, ids[1..]);
    assert!(!store.remove_login(&LoginId::stored("unknown")).await.unwrap());
}

pub(super) async fn a_login_is_never_replaced_by_another_with_its_id(store: Arc<dyn Store>) {
    let (ann, bob) = (AccountId::random(), AccountId::random());
    let first = inserted(&*store, "1", &ann, 0, 50).await;
    for other in [login("1", &bob, 0, 50), login("1", &ann, 0, 60)] {
        assert!(matches!(store.insert_login(&other).await, Err(StoreError::Conflict(_))));
        assert_eq!(store.find_login(&first.id).await.unwrap().as_ref(), Some(&first));
    }
}

pub(super) async fn a_login_removes_those_of_its_account_that_ended_before_it(store: Arc<dyn Store>) {
    let (ann, bob) = (AccountId::random(), AccountId::random());
    for (id, account, ends) in [("ended", &ann, 9), ("ends now", &ann, 10), ("lasts", &ann, 11), ("of another", &bob, 9)] {
        inserted(&*store, id, account, 0, ends).await;
    }
    inserted(&*store, "new", &ann, 10, 50).await;
    let ids = ["ended", "ends now", "lasts", "of another", "new"];
    assert_eq!(kept(&*store, &ids).await, ids[1..]);
}

pub(super) async fn logins_of_one_account_that_race_are_all_stored(store: Arc<dyn Store>) {
    let (ann, bob) = (AccountId::random(), AccountId::random());
    for id in ["ended 1", "ended 2"] {
        inserted(&*store, id, &ann, 0, 9).await;
        inserted(&*store, &format!("other {id}"), &bob, 0, 9).await;
    }
    let logins: Vec<Login> = (0..20).map(|n| login(&n.to_string(), &ann, 10 + n, 60)).collect();
    let inserts = logins.clone().into_iter().map(|login| {
        let store = store.clone();
        async move { store.insert_login(&login).await.unwrap() }
    });
    all(inserts).await;
    for login in logins {
        assert_eq!(store.find_login(&login.id).await.unwrap(), Some(login));
    }
    assert_eq!(kept(&*store, &["ended 1", "ended 2", "other ended 1", "other ended 2"]).await, ["other ended 1", "other ended 2"]);
}

pub(super) async fn a_removed_account_takes_its_logins_with_it(store: Arc<dyn Store>) {
    let (ann, bob) = (named("ann@example.org", "ann"), named("bob@example.org", "bob"));
    assert!(store.insert_account(&ann).await.unwrap() && store.insert_account(&bob).await.unwrap());
    for (id, account) in [("1", &ann), ("2", &ann), ("3", &bob)] {
        inserted(&*store, id, &account.id, 0, 50).await;
    }
    store.remove_account(&ann.id).await.unwrap();
    assert_eq!(kept(&*store, &["1", "2", "3"]).await, ["3"]);
    inserted(&*store, "4", &ann.id, 0, 50).await;
    store.remove_account(&ann.id).await.unwrap();
    assert_eq!(kept(&*store, &["3", "4"]).await, ["3"], "also where the account is gone already");
    assert_eq!(store.find_account(&bob.id).await.unwrap(), Some(bob));
}

pub(super) async fn logins_are_found_and_removed_by_many(store: Arc<dyn Store>) {
    let (ann, bob) = (AccountId::random(), AccountId::random());
    for (id, account) in [("a1", &ann), ("a2", &ann), ("b1", &bob)] {
        inserted(&*store, id, account, 0, 9).await;
    }
    let ids = ["a1", "nobody's", "b1", "a2"].map(LoginId::stored);
    let found = async || {
        let mut found = store.find_logins(&ids).await.unwrap();
        found.sort();
        found
    };
    assert_eq!(found().await, ["a1", "a2", "b1"].map(LoginId::stored));
    assert_eq!(store.find_logins(&[]).await.unwrap(), []);
    store.remove_logins(&ann).await.unwrap();
    store.remove_logins(&AccountId::random()).await.unwrap();
    assert_eq!(found().await, ["b1"].map(LoginId::stored));
}
