//! Lists of sessions by query, checked against the same query over what was stored. Lists for one purpose are in `sessions`.

use helpline::domain::session::Status;
use helpline::domain::store::{Listed, SessionQuery};
use helpline::domain::topic::SessionKind;

use super::*;

/// Sessions of two realms and kinds that differ in everything a query may ask for, as they are stored.
async fn varied(store: &dyn Store) -> Vec<Session> {
    let mut sessions = Vec::new();
    for n in 0..36_i64 {
        let realm = if n % 9 == 0 { Realm::Operators } else { Realm::Support };
        let name = (n % 4 != 0).then(|| format!("Ünal {}", n % 4).into());
        let who = Person { name, ..Person::new(realm, format!("Visitor-{}", n % 5), Role::Visitor) };
        let kind = if n % 6 == 5 { SessionKind::Group } else { SessionKind::Support };
        let session = Session { kind, updated_at: at(n % 7), ..Session::open(who, at(n)) };
        assert_eq!(store.insert_session(&session, None).await.unwrap(), Inserted::Created);
        if n % 3 > 0 {
            store.reassign_session(&session.id, 0, &to(&assignee(1 + (n % 2) as u8)), at(n % 11)).await.unwrap().unwrap();
        }
        if n % 3 > 1 {
            store.finish_session(&session.id, 1, at(n % 13), "done").await.unwrap().unwrap();
        }
        if n % 4 > 1 {
            store.touch_session(&session.id, Some(at(n % 10))).await.unwrap();
        }
        sessions.push(store.find_session(&session.id).await.unwrap().unwrap());
    }
    sessions.sort_by(|a, b| (b.updated_at, &b.id).cmp(&(a.updated_at, &a.id)));
    sessions
}

/// What a query asks for, said once more and plainly.
fn matches(query: &SessionQuery, session: &Session) -> bool {
    let holds = |text: &str| query.keyword.as_ref().is_none_or(|k| text.to_lowercase().contains(&k.to_lowercase()));
    let Session { id, visitor, .. } = session;
    query.realm.map_or(session.kind == SessionKind::Support, |realm| session.realm == realm)
        && query.visitor.as_ref().is_none_or(|v| *v == visitor.id)
        && query.agent.as_ref().is_none_or(|a| session.agent.as_ref().is_some_and(|s| s.id == *a))
        && query.status.is_none_or(|s| s == session.status)
        && (session.spoken || !query.spoken_only)
        && query.since.is_none_or(|t| session.updated_at >= t)
        && query.until.is_none_or(|t| session.updated_at <= t)
        && (holds(id.as_str()) || holds(&visitor.id) || visitor.name.as_deref().is_some_and(holds))
}

/// Queries of which each asks for some of the conditions, all combinations together.
fn queries(some_id: &SessionId) -> Vec<SessionQuery> {
    let some = |n: usize, bit: usize| n >> bit & 1 == 1;
    let keywords = ["ünAL 2", "VISITOR-3", &some_id.as_str()[3..12].to_uppercase(), "1"].map(str::to_owned);
    let query = |n: usize| SessionQuery {
        visitor: some(n, 0).then(|| format!("Visitor-{}", n % 5).into()),
        agent: some(n, 1).then(|| AgentId::seeded(1)),
        status: some(n, 2).then(|| [Status::Waiting, Status::Active, Status::Ended][n % 3]),
        spoken_only: some(n, 3),
        keyword: some(n, 4).then(|| keywords[n % 4].clone()),
        since: some(n, 5).then(|| at(3)),
        until: some(n, 6).then(|| at(8)),
        realm: (!n.is_multiple_of(3)).then_some(if n.is_multiple_of(17) { Realm::Operators } else { Realm::Support }),
        ..SessionQuery::of(Realm::Support, 100)
    };
    (0..128).map(query).collect()
}

pub(super) async fn queries_answer_what_they_say_last_changed_first(store: Arc<dyn Store>) {
    let sessions = varied(&*store).await;
    let mut hits = 0;
    for query in queries(&sessions[0].id) {
        let expected: Vec<Session> = sessions.iter().filter(|s| matches(&query, s)).cloned().collect();
        let total = expected.len() as u64;
        hits += usize::from(total > 0);
        let listed = store.list_sessions(&query).await.unwrap();
        assert_eq!((listed.total, &listed.sessions), (total, &expected), "{query:?}");
        let page = SessionQuery { offset: 1, limit: 2, ..query.clone() };
        let sessions = expected.into_iter().skip(1).take(2).collect();
        assert_eq!(store.list_sessions(&page).await.unwrap(), Listed { sessions, total }, "{page:?}");
    }
    assert!(hits > 40, "only {hits} queries found anything");
    for (offset, limit) in [(0, 0), (1000, 10), (u64::MAX, 10)] {
        let page = SessionQuery { offset, limit, ..SessionQuery::of(Realm::Support, 0) };
        assert_eq!(store.list_sessions(&page).await.unwrap(), Listed { sessions: Vec::new(), total: 32 }, "{offset} {limit}");
    }
    assert_eq!(store.list_sessions(&SessionQuery::of(Realm::Widget, 10)).await.unwrap(), Listed::default());
}

pub(super) async fn keywords_are_text_and_nothing_else(store: Arc<dyn Store>) {
    let names = ["a.c (x) [y] $where \\d+", "100%_*?^|{}", "nul \0 inside", "two\nlines", "Straße ΟΔΟΣΑ", "$status", "{\"$gt\":\"\"}"];
    let mut sessions = Vec::new();
    for name in names {
        let who = Person { name: Some(name.into()), ..visitor("v\\1") };
        let session = Session::open(who, NOW);
        store.insert_session(&session, None).await.unwrap();
        sessions.push(session);
    }
    let listed = async |keyword: &str| {
        let query = SessionQuery { keyword: Some(keyword.to_owned()), ..SessionQuery::of(Realm::Support, 100) };
        let listed = store.list_sessions(&query).await.unwrap();
        assert_eq!(listed.total, listed.sessions.len() as u64);
        listed.sessions
    };
    for session in &sessions {
        let name = session.visitor.name.as_deref().unwrap();
        assert_eq!(listed(name).await, std::slice::from_ref(session), "{name}");
        assert_eq!(listed(&name.to_uppercase()).await, std::slice::from_ref(session), "{name}");
    }
    assert_eq!(listed("οδος").await, [sessions[4].clone()], "a part of a word, whatever its last letter");
    for none in ["axc", "a.c.", ".*", "%%", "\\d{0}", "v\\1\na.c", "$literal", "", &"x".repeat(200_000)] {
        let all = if none.is_empty() { names.len() } else { 0 };
        assert_eq!(listed(none).await.len(), all, "{none:.20}");
    }
}
