//! Accounts: one per address, and per username, of a realm; who is listed; and what several change at once.

use helpline::domain::account::{Account, AccountChange, PasswordHash};
use helpline::domain::agent::Availability;
use helpline::domain::ids::AccountId;

use super::*;

/// A fresh account of the widget's contract, which has no usernames.
pub(super) fn account(email: &str) -> Account {
    Account {
        id: AccountId::random(),
        realm: Realm::Widget,
        role: Role::Agent,
        email: email.into(),
        username: None,
        name: Some("$name \"😀\" \0".into()),
        password: PasswordHash::stored("$argon2id$v=19$first"),
        department: None,
        specialization: None,
        status: Availability::Offline,
        created_at: at(-3),
        updated_at: at(-2),
        seen_at: at(-1),
    }
}

/// A fresh account of the contract with rooms, with all that an account can have.
pub(super) fn named(email: &str, username: &str) -> Account {
    Account {
        realm: Realm::Rooms,
        role: Role::Admin,
        username: Some(username.into()),
        department: Some("$sales \"😀\" \0".into()),
        specialization: Some("a.b\0".into()),
        status: Availability::Busy,
        ..account(email)
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

pub(super) async fn a_username_has_one_account_in_its_realm(store: Arc<dyn Store>) {
    let ann = named("ann@example.org", "ann");
    assert!(store.insert_account(&ann).await.unwrap());
    assert!(store.insert_account(&ann).await.unwrap(), "repeating finds its own");
    assert!(!store.insert_account(&named("new@example.org", "ann")).await.unwrap());
    assert!(!store.insert_account(&Account { role: Role::Agent, ..named("new@example.org", "ann") }).await.unwrap());
    assert!(!store.insert_account(&named("ann@example.org", "new")).await.unwrap(), "the address is taken still");
    assert!(!store.insert_account(&Account { username: Some("new".into()), ..ann.clone() }).await.unwrap(), "its id is taken");
    assert_eq!(store.find_account_by_email(Realm::Rooms, "new@example.org").await.unwrap(), None);
    assert_eq!(store.count_accounts(Realm::Rooms).await.unwrap(), 1);
    let others = [
        named("1@example.org", "Ann"),
        named("2@example.org", "ann@example.org"),
        named("3@example.org", "ann\0"),
        named("4@example.org", "$ann"),
        named("new@example.org", "new"),
        Account { realm: Realm::Widget, ..named("5@example.org", "ann") },
        Account { username: None, ..named("6@example.org", "") },
        Account { username: None, ..named("7@example.org", "") },
    ];
    for other in &others {
        assert!(store.insert_account(other).await.unwrap(), "{other:?}");
    }
    for kept in others.iter().chain([&ann]) {
        assert_eq!(store.find_account(&kept.id).await.unwrap().as_ref(), Some(kept));
    }
}

pub(super) async fn one_of_many_inserts_of_a_username_is_stored(store: Arc<dyn Store>) {
    let inserts = (0..20).map(|n| {
        let store = store.clone();
        async move {
            let account = named(&format!("{n}@example.org"), "ann");
            store.insert_account(&account).await.unwrap().then_some(account)
        }
    });
    let won: Vec<Account> = all(inserts).await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.list_accounts(Realm::Rooms, &[Role::Admin], 99).await.unwrap(), won);
    assert_eq!(store.count_accounts(Realm::Rooms).await.unwrap(), 1);
}

pub(super) async fn a_removed_account_frees_its_username(store: Arc<dyn Store>) {
    for n in 0..3 {
        let account = named(&format!("{n}@example.org"), "ann");
        assert!(store.insert_account(&account).await.unwrap());
        store.remove_account(&account.id).await.unwrap();
        assert_eq!(store.count_accounts(Realm::Rooms).await.unwrap(), 0);
    }
}

pub(super) async fn accounts_are_listed_by_role_newest_first(store: Arc<dyn Store>) {
    let made = [(Role::Agent, 5), (Role::Visitor, 1), (Role::Admin, 7), (Role::Agent, 5), (Role::Visitor, 9), (Role::Agent, 2)];
    let mut accounts = Vec::new();
    for (n, (role, ms)) in made.into_iter().enumerate() {
        let account = Account { role, created_at: at(ms), ..named(&format!("{n}@example.org"), &format!("u{n}")) };
        assert!(store.insert_account(&account).await.unwrap());
        assert!(store.insert_account(&Account { realm: Realm::Widget, id: AccountId::random(), ..account.clone() }).await.unwrap());
        accounts.push(account);
    }
    accounts.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let all = [Role::Visitor, Role::Agent, Role::Admin, Role::System];
    for roles in [&all[..], &all[1..3], &all[..1], &[Role::Admin, Role::Visitor], &all[3..], &[], &[Role::Agent, Role::Agent]] {
        for limit in [99, 2, 1, 0] {
            let wanted: Vec<&Account> = accounts.iter().filter(|a| roles.contains(&a.role)).take(limit).collect();
            let listed = store.list_accounts(Realm::Rooms, roles, u32::try_from(limit).unwrap()).await.unwrap();
            assert_eq!(listed.iter().collect::<Vec<_>>(), wanted, "{roles:?} {limit}");
        }
    }
    assert_eq!(store.list_accounts(Realm::Support, &all, 99).await.unwrap(), []);
}

pub(super) async fn a_change_of_an_account_is_what_it_names(store: Arc<dyn Store>) {
    let (mut ann, bob) = (named("ann@example.org", "ann"), named("bob@example.org", "bob"));
    assert!(store.insert_account(&ann).await.unwrap() && store.insert_account(&bob).await.unwrap());
    let statuses = [None, Some(Availability::Online), Some(Availability::Away), None];
    for (n, (status, seen_at)) in (1..).zip(statuses.into_iter().zip([None, None, Some(at(70)), Some(at(-70))])) {
        let changed = store.change_account(&ann.id, &AccountChange { status, seen_at }, at(n)).await.unwrap();
        ann = Account { status: status.unwrap_or(ann.status), seen_at: seen_at.unwrap_or(ann.seen_at), updated_at: at(n), ..ann };
        assert_eq!(changed.as_ref(), Some(&ann));
        assert_eq!(store.find_account(&ann.id).await.unwrap().as_ref(), Some(&ann));
    }
    assert_eq!(store.find_account(&bob.id).await.unwrap(), Some(bob));
    let online = AccountChange { status: Some(Availability::Online), seen_at: Some(NOW) };
    assert_eq!(store.change_account(&AccountId::random(), &online, NOW).await.unwrap(), None);
    assert_eq!(store.count_accounts(Realm::Rooms).await.unwrap(), 2);
    assert!(!store.insert_account(&named("new@example.org", "ann")).await.unwrap(), "its username is its own still");
}

pub(super) async fn changes_of_an_account_that_race_do_not_undo_one_another(store: Arc<dyn Store>) {
    let ann = named("ann@example.org", "ann");
    assert!(store.insert_account(&ann).await.unwrap());
    let changes = (0..20).map(|n| {
        let (store, ann) = (store.clone(), ann.clone());
        let online = AccountChange { status: Some(Availability::Online), seen_at: None };
        let seen = AccountChange { status: None, seen_at: Some(at(50)) };
        let change = if n % 2 == 0 { online } else { seen };
        async move { store.change_account(&ann.id, &change, at(9)).await.unwrap().unwrap() }
    });
    all(changes).await;
    let last = Account { status: Availability::Online, seen_at: at(50), updated_at: at(9), ..ann.clone() };
    assert_eq!(store.find_account(&ann.id).await.unwrap(), Some(last));
}
