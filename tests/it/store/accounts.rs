//! Accounts: one per address and realm, and passwords that several change at once.

use helpline::domain::account::{Account, PasswordHash};
use helpline::domain::ids::AccountId;

use super::*;

/// A fresh account of the widget's contract.
pub(super) fn account(email: &str) -> Account {
    Account {
        id: AccountId::random(),
        realm: Realm::Widget,
        email: email.into(),
        name: Some("$name \"😀\" \0".into()),
        password: PasswordHash::stored("$argon2id$v=19$first"),
        created_at: at(-1),
    }
}

pub(super) async fn an_address_has_one_account_in_its_realm(store: Arc<dyn Store>) {
    let ann = account("ann@example.org");
    assert!(store.insert_account(&ann).await.unwrap());
    assert!(store.insert_account(&ann).await.unwrap(), "repeating finds its own");
    assert!(!store.insert_account(&account("ann@example.org")).await.unwrap());
    assert!(!store.insert_account(&Account { email: "new@example.org".into(), ..ann.clone() }).await.unwrap(), "its id is taken");
    let others = [
        Account { name: None, ..account("Ann@example.org") },
        Account { realm: Realm::Operators, ..account("ann@example.org") },
        account("$gt.x\0"),
    ];
    for other in &others {
        assert!(store.insert_account(other).await.unwrap());
    }
    for kept in others.iter().chain([&ann]) {
        assert_eq!(store.find_account(&kept.id).await.unwrap().as_ref(), Some(kept));
        assert_eq!(store.find_account_by_email(kept.realm, &kept.email).await.unwrap().as_ref(), Some(kept));
    }
    for (realm, email) in [(Realm::Widget, "ANN@example.org"), (Realm::Widget, "ann@example.or"), (Realm::Support, "ann@example.org")] {
        assert_eq!(store.find_account_by_email(realm, email).await.unwrap(), None);
    }
    assert_eq!(store.find_account(&AccountId::random()).await.unwrap(), None);
    for (realm, count) in [(Realm::Widget, 3), (Realm::Operators, 1), (Realm::Support, 0)] {
        assert_eq!(store.count_accounts(realm).await.unwrap(), count);
    }
}

pub(super) async fn one_of_many_inserts_of_an_address_is_stored(store: Arc<dyn Store>) {
    let inserts = (0..20).map(|_| {
        let store = store.clone();
        async move {
            let account = account("ann@example.org");
            store.insert_account(&account).await.unwrap().then_some(account)
        }
    });
    let won: Vec<Account> = all(inserts).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.find_account_by_email(Realm::Widget, "ann@example.org").await.unwrap().as_ref(), won.first());
    assert_eq!(store.count_accounts(Realm::Widget).await.unwrap(), 1);
}

pub(super) async fn a_removed_account_frees_its_address(store: Arc<dyn Store>) {
    for _ in 0..3 {
        let account = account("ann@example.org");
        assert!(store.insert_account(&account).await.unwrap());
        store.remove_account(&account.id).await.unwrap();
        store.remove_account(&account.id).await.unwrap();
        assert_eq!(store.find_account(&account.id).await.unwrap(), None);
        assert_eq!(store.find_account_by_email(Realm::Widget, "ann@example.org").await.unwrap(), None);
        assert_eq!(store.count_accounts(Realm::Widget).await.unwrap(), 0);
    }
}

pub(super) async fn a_password_is_replaced_by_one_of_many(store: Arc<dyn Store>) {
    let (ann, bob) = (account("ann@example.org"), account("bob@example.org"));
    assert!(store.insert_account(&ann).await.unwrap() && store.insert_account(&bob).await.unwrap());
    let changes = (0..10).map(|n| {
        let (store, ann) = (store.clone(), ann.clone());
        async move {
            let to = PasswordHash::stored(format!("$argon2id$v=19${n}"));
            store.replace_password(&ann.id, &ann.password, &to).await.unwrap().then_some(to)
        }
    });
    let won: Vec<PasswordHash> = all(changes).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.find_account(&ann.id).await.unwrap(), Some(Account { password: won[0].clone(), ..ann.clone() }));
    assert_eq!(store.find_account(&bob.id).await.unwrap(), Some(bob));
    assert!(store.replace_password(&ann.id, &won[0], &ann.password).await.unwrap());
    assert!(!store.replace_password(&AccountId::random(), &ann.password, &won[0]).await.unwrap());
}
