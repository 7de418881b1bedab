//! Every method of the port, called once on a filled store, so that the files of the stores can look at what was asked of the databases. Which
//! database it is, is not known here.

use helpline::domain::account::{Account, AccountChange};
use helpline::domain::agent::{Agent, Availability};
use helpline::domain::attachment::Attachment;
use helpline::domain::entry::Edit;
use helpline::domain::ids::{AccountId, AttachmentId, ConnId, LoginId, NodeId};
use helpline::domain::presence::Presence;
use helpline::domain::session::Status;
use helpline::domain::store::SessionQuery;

use super::accounts::named;
use super::logins::login;
use super::*;

/// How many answers a call asks for at most.
const PAGE: u32 = 10;

/// The sources of the port, in which its methods are named.
const PORT: [&str; 3] = [
    include_str!("../../../src/domain/store.rs"),
    include_str!("../../../src/domain/attachment.rs"),
    include_str!("../../../src/domain/presence.rs"),
];

/// What a store was filled with: all of it belongs to one visitor, one agent and one realm, most of it is over, and little is open.
pub(super) struct Filled {
    visitor: Person,
    agent: Agent,
    /// Sessions that wait; the first has the most messages.
    waiting: Vec<Session>,
    account: Account,
}

/// Fills the store with so many of everything that grows, and a few that are still open.
pub(super) async fn fill(store: &Arc<dyn Store>, many: usize) -> Filled {
    let visitor = Person::new(Realm::Rooms, "v", Role::Visitor);
    let agent = Agent::new(Realm::Rooms, AgentId::of(Realm::Rooms, "a"), "Ann", Agent::NO_LIMIT, NOW);
    let agent = Agent { availability: Availability::Online, ..agent };
    store.insert_agent(&agent).await.unwrap();
    let one = |n: usize| {
        let (store, visitor, agent) = (store.clone(), visitor.clone(), agent.clone());
        async move {
            past(&*store, &visitor, &agent, n).await;
            beside(&*store, n).await;
        }
    };
    all((0..many).map(one)).await;
    let mut waiting = Vec::new();
    for n in 0..8 {
        let session = Session { group: Some("g".into()), ..Session::open(visitor.clone(), at(n)) };
        store.insert_session(&session, None).await.unwrap();
        stored(&**store, message(&session.id, "hi")).await;
        waiting.push(session);
    }
    for n in 0..many {
        stored(&**store, keyed(&waiting[0].id, "more", &format!("k{n}"))).await;
    }
    // A page of messages that has many entries between two of them.
    for _ in 0..many {
        stored(&**store, draft(&waiting[0].id, Content::Assigned(assignee(1).into()))).await;
    }
    stored(&**store, keyed(&waiting[0].id, "last", "last")).await;
    let account = Account { role: Role::Agent, ..named("ann@example.org", "ann") };
    assert!(store.insert_account(&account).await.unwrap());
    store.insert_login(&login("l", &account.id, 0, 9)).await.unwrap();
    Filled { visitor, agent, waiting, account }
}

/// The `n`-th session that the visitor had with the agent and that is over.
async fn past(store: &dyn Store, visitor: &Person, agent: &Agent, n: usize) {
    let session = Session::open(visitor.clone(), at(n as i64 - 10_000));
    store.insert_session(&session, None).await.unwrap();
    let said = stored(store, message(&session.id, "hi")).await;
    let edit = Edit { message: said.id.clone(), body: Body::stored("ho"), is_deletion: false };
    let edit = stored(store, draft(&session.id, Content::Edited(edit))).await;
    store.apply_edit(&edit).await.unwrap().unwrap();
    let taken = session.reassigned_to(Some(agent.person()), None);
    store.reassign_session(&session.id, 0, &taken, session.created_at).await.unwrap().unwrap();
    let end = stored(store, end(&session.id)).await;
    store.finish_session(&session.id, end.seq(), session.created_at, "done").await.unwrap().unwrap();
    store.raise_reader_mark(&session.id, &visitor.key(), 1).await.unwrap();
}

/// What the `n`-th stranger leaves: an account, a login, a file, a connection.
async fn beside(store: &dyn Store, n: usize) {
    let account = Account { role: Role::Visitor, ..named(&format!("v{n}@example.org"), &format!("v{n}")) };
    assert!(store.insert_account(&account).await.unwrap());
    store.insert_login(&login(&format!("l{n}"), &account.id, 0, 9)).await.unwrap();
    store.insert_attachment(&Attachment { is_kept: true, ..attachment(EntryId::random()) }).await.unwrap();
    store.insert_presence(&presence(&format!("rooms:v{n}"), "elsewhere")).await.unwrap();
}

fn attachment(message: EntryId) -> Attachment {
    Attachment {
        id: AttachmentId::random(),
        session: SessionId::random(),
        message,
        name: "a.txt".into(),
        mime_type: "text/plain".into(),
        size: 0,
        created_at: at(-1),
        is_kept: false,
    }
}

fn presence(person: &str, node: &str) -> Presence {
    Presence { conn: ConnId::random(), person: person.into(), node: NodeId::stored(node) }
}

/// Calls a method whose name is told first.
macro_rules! call {
    ($calls:ident.$method:ident($($argument:expr),* $(,)?)) => {{
        ($calls.began)(stringify!($method));
        $calls.store.$method($($argument),*).await.unwrap()
    }};
}

struct Calls<'a> {
    store: &'a dyn Store,
    filled: &'a Filled,
    began: &'a dyn Fn(&'static str),
}

/// Calls every method of the port that asks the database, and tells each one's name before.
pub(super) async fn call_all(store: &dyn Store, filled: &Filled, began: &dyn Fn(&'static str)) {
    let called = std::cell::RefCell::new(Vec::new());
    let noted = |name| {
        called.borrow_mut().push(name);
        began(name);
    };
    let calls = Calls { store, filled, began: &noted };
    calls.lists().await;
    calls.queries().await;
    calls.reading().await;
    calls.writing().await;
    calls.states().await;
    calls.agents().await;
    calls.accounts().await;
    calls.attachments().await;
    calls.presences().await;
    noted("close");
    store.close().await.unwrap();
    let called = called.into_inner();
    for method in PORT.iter().flat_map(|source| source.split("async fn ").skip(1)).filter_map(|rest| rest.split('(').next()) {
        assert!(called.contains(&method), "{method} of the port is not called here");
    }
}

impl Calls<'_> {
    async fn lists(&self) {
        let (Filled { visitor, agent, waiting, .. }, first) = (self.filled, &self.filled.waiting[0].id);
        let ids: Vec<SessionId> = waiting.iter().map(|s| s.id.clone()).collect();
        call!(self.find_session(first)).unwrap();
        assert_eq!(call!(self.list_waiting(Realm::Rooms, PAGE)).len(), waiting.len());
        assert_eq!(call!(self.count_waiting(Realm::Rooms)), waiting.len() as u64);
        assert_eq!(call!(self.list_open(None, PAGE)).len(), waiting.len());
        call!(self.list_open(Some(first), PAGE));
        assert_eq!(call!(self.list_of_agent(&agent.id, None, PAGE)).len(), PAGE as usize);
        assert_eq!(call!(self.list_of_agent(&agent.id, Some(Status::Active), PAGE)), []);
        assert_eq!(call!(self.list_of_person(&visitor.key(), PAGE)).len(), waiting.len());
        call!(self.list_reader_marks(&ids, &visitor.key()));
        call!(self.raise_reader_mark(first, &visitor.key(), 2));
        assert_eq!(call!(self.totals(Realm::Rooms)).waiting, waiting.len() as u64);
    }

    /// Lists of sessions, as the contracts ask for them.
    async fn queries(&self) {
        let all = SessionQuery::of(Realm::Rooms, PAGE);
        let agent = Some(self.filled.agent.id.clone());
        let of_visitor = SessionQuery { visitor: Some(Arc::clone(&self.filled.visitor.id)), ..all.clone() };
        let everywhere = SessionQuery { realm: None, ..all.clone() };
        for query in [
            everywhere.clone(),
            SessionQuery { status: Some(Status::Waiting), ..everywhere.clone() },
            SessionQuery { agent: agent.clone(), status: Some(Status::Active), ..everywhere.clone() },
            SessionQuery { open_only: true, ..everywhere.clone() },
            SessionQuery { open_only: true, since: Some(at(0)), ..everywhere.clone() },
            SessionQuery { spoken_only: true, ..everywhere },
            all.clone(),
            SessionQuery { offset: 5, ..all.clone() },
            SessionQuery { status: Some(Status::Waiting), ..all.clone() },
            SessionQuery { agent: agent.clone(), ..all.clone() },
            SessionQuery { agent, status: Some(Status::Active), ..all.clone() },
            of_visitor,
            SessionQuery { open_only: true, ..all.clone() },
            SessionQuery { open_only: true, since: Some(at(0)), ..all.clone() },
            SessionQuery { spoken_only: true, ..all.clone() },
            SessionQuery { since: Some(at(1)), until: Some(at(7)), ..all.clone() },
            SessionQuery { keyword: Some("v".into()), ..all },
        ] {
            call!(self.list_sessions(&query));
        }
    }

    async fn reading(&self) {
        let waiting = &self.filled.waiting;
        let (first, ids) = (&waiting[0].id, waiting.iter().map(|s| s.id.clone()).collect::<Vec<_>>());
        let last = call!(self.last_entry(first)).unwrap();
        let head = call!(self.head(first));
        assert_eq!(last.head, head);
        assert_eq!(call!(self.find_by_key(first, &last.author, last.client_key.as_ref().unwrap())), Some(last.clone()));
        assert_eq!(call!(self.list_ahead(&[(ids[1].clone(), 0), (first.clone(), 1)])).len(), 2);
        let (after, page) = (head.ordinal - u64::from(PAGE), PAGE as usize);
        assert_eq!(call!(self.list_entries(first, after, PAGE)).len(), page);
        assert_eq!(call!(self.list_messages(first, after, PAGE)).len(), page);
        for notices in [true, false] {
            assert!(call!(self.last_messages(&ids, notices)).iter().all(Option::is_some));
        }
        assert_eq!(call!(self.find_message(&last.id)), Some(last));
    }

    async fn writing(&self) {
        let session = &self.filled.waiting[1].id;
        let said = keyed(session, "once", "k");
        for _ in 0..2 {
            call!(self.append(Draft { id: EntryId::random(), ..said.clone() }));
            call!(self.append_all(vec![Draft { id: EntryId::random(), ..said.clone() }]));
        }
        let message = self.store.last_entry(session).await.unwrap().unwrap().id;
        call!(self.note_receipt(&message, &self.filled.visitor, NOW, true)).unwrap();
        call!(self.mark_message_read(&message, NOW)).unwrap();
        for is_deletion in [false, true] {
            let edit = Edit { message: message.clone(), body: Body::stored("two"), is_deletion };
            let edit = stored(self.store, draft(session, Content::Edited(edit))).await;
            assert_eq!(call!(self.list_unapplied_edits(PAGE)), std::slice::from_ref(&edit));
            call!(self.apply_edit(&edit)).unwrap();
        }
    }

    async fn states(&self) {
        let Filled { visitor, agent, waiting, .. } = self.filled;
        let [moved, ended] = [&waiting[2], &waiting[3]];
        for _ in 0..2 {
            call!(self.insert_session(&Session::open(visitor.clone(), NOW), Some("rooms:once")));
        }
        let taken = moved.reassigned_to(Some(agent.person()), None);
        call!(self.reassign_session(&moved.id, 0, &taken, NOW)).unwrap();
        call!(self.finish_session(&ended.id, 1, NOW, "done")).unwrap();
        call!(self.reopen_session(&ended.id, 2, NOW, "open"));
        call!(self.touch_session(&moved.id, Some(NOW)));
        call!(self.mark_session_read(&moved.id, 1)).unwrap();
    }

    async fn agents(&self) {
        let (agent, session) = (&self.filled.agent, &self.filled.waiting[2].id);
        call!(self.seed_agents(Realm::Support, std::slice::from_ref(agent)));
        call!(self.seed_agents(Realm::Rooms, std::slice::from_ref(agent)));
        call!(self.insert_agent(&Agent::new(Realm::Rooms, AgentId::random(), "Bob", 1, NOW)));
        call!(self.list_agents(Realm::Rooms));
        call!(self.find_agent(&agent.id)).unwrap();
        assert!(!call!(self.find_agents(std::slice::from_ref(&agent.id))).is_empty());
        assert!(call!(self.reserve_slot(&agent.id, session, NOW)));
        call!(self.hold_slot(&agent.id, &self.filled.waiting[4].id, NOW));
        assert_eq!(call!(self.list_slots(Realm::Rooms, at(1))).len(), 2);
        assert!(call!(self.release_slot(&agent.id, session)));
        call!(self.set_availability(&agent.id, Some(&[Availability::Online]), Availability::Busy, None)).unwrap();
        call!(self.set_attended(&agent.id, true, NOW));
        call!(self.set_attended(&agent.id, false, NOW));
    }

    async fn accounts(&self) {
        let account = &self.filled.account;
        let fresh = Account { id: AccountId::random(), username: Some("bob".into()), ..named("bob@example.org", "bob") };
        for (account, is_new) in [(&fresh, true), (&Account { id: AccountId::random(), ..fresh.clone() }, false)] {
            assert_eq!(call!(self.insert_account(account)), is_new);
        }
        call!(self.find_account(&account.id)).unwrap();
        call!(self.find_accounts(&[account.id.clone(), fresh.id.clone()]));
        call!(self.find_account_by_email(Realm::Rooms, &account.email)).unwrap();
        assert!(!call!(self.list_accounts(Realm::Rooms, &[Role::Agent], PAGE)).is_empty());
        assert!(!call!(self.list_accounts(Realm::Rooms, &[Role::Agent, Role::Admin], PAGE)).is_empty());
        call!(self.count_accounts(Realm::Rooms));
        call!(self.change_account(&account.id, &AccountChange::default(), NOW)).unwrap();
        assert!(call!(self.replace_password(&account.id, &account.password, &account.password)));
        call!(self.insert_login(&login("m", &account.id, 10, 20)));
        call!(self.find_login(&LoginId::stored("m"))).unwrap();
        call!(self.find_logins(&[LoginId::stored("m"), LoginId::stored("l")]));
        assert!(call!(self.remove_login(&LoginId::stored("m"))));
        call!(self.remove_logins(&account.id));
        call!(self.remove_account(&fresh.id));
        call!(self.first_start(NOW));
        call!(self.ping());
    }

    async fn attachments(&self) {
        let attachment = attachment(EntryId::random());
        let id = &attachment.id;
        call!(self.insert_attachment(&attachment));
        let mut sink = call!(self.open_sink(id));
        (self.began)("write");
        sink.write(b"hello").await.unwrap();
        (self.began)("finish");
        sink.finish().await.unwrap();
        call!(self.complete_attachment(id, "text/plain", 5));
        assert_eq!(call!(self.list_unkept_attachments(NOW, PAGE)).len(), 1);
        call!(self.keep_attachment(id));
        call!(self.find_attachment(id)).unwrap();
        assert_eq!(call!(self.list_attachments_of(&attachment.message)).len(), 1);
        assert_eq!(call!(self.read_content(id, 1, 3)), b"ell");
        call!(self.remove_attachment(id));
    }

    async fn presences(&self) {
        let (person, node) = ("rooms:a", NodeId::stored("here"));
        let presence = presence(person, "here");
        assert!(call!(self.insert_presence(&presence)));
        assert_eq!(call!(self.find_present(&[person.into(), "rooms:b".into()])).len(), 1);
        assert!(call!(self.count_present("rooms:")) > 1);
        assert_eq!(call!(self.list_presences(&node)).len(), 1);
        call!(self.remove_presence(person, &presence.conn));
        for _ in 0..2 {
            call!(self.beat(&node));
        }
        call!(self.list_nodes());
        call!(self.remove_node(&node));
    }
}
