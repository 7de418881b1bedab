//! Who somebody is comes from the credential alone, and whose a session is cannot be found out by guessing.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::client::{Client, Dial, Refused};
use crate::harness::http;
use crate::harness::script::Body;
use crate::harness::shop::{JWT_SECRET, Shop, token};

async fn connect(shop: &Shop, id: &str, kind: &str) -> Client {
    let auth = json!({"token": token(id, kind, 600)});
    Dial::to(shop.server.address()).auth(auth).connect().await.expect("a connection")
}

/// A REST call by a token.
async fn call(shop: &Shop, bearer: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let headers = [("authorization".to_owned(), format!("Bearer {bearer}"))];
    let body = if method == "GET" { Body::None } else { Body::Json(body) };
    let answer = http::request(shop.server.address(), method, path, &headers, body).await.expect("an answer");
    (answer.status, answer.body)
}

#[tokio::test]
async fn s17_a_socket_is_whom_its_token_names_whatever_its_calls_say() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    let mut visitor = connect(&shop, "u1", "user").await;
    let foreign = [
        json!({"userId": "u2"}),
        json!({"userId": session.agent, "userType": "agent"}),
        json!({"userType": "agent"}),
        json!({"userType": "system"}),
        json!({"userType": "admin"}),
        json!({"userId": "u1", "userType": "system"}),
        json!({"agentId": session.agent}),
    ];
    for claim in foreign {
        let mut payload = claim.clone();
        payload["sessionId"] = json!(session.id);
        let answer = visitor.call("join_session", payload).await.expect("an answer");
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("FORBIDDEN")), "{claim}");
    }
    let joined = visitor.call("join_session", json!({"sessionId": session.id, "role": "admin", "isAgent": true})).await.expect("an answer");
    assert_eq!(joined["ok"], true);
    let mut said = json!({"sessionId": session.id, "message": "hello"});
    for field in ["senderId", "userId", "agentId", "senderType", "userType", "role", "senderName", "userName"] {
        said[field] = json!(if field.ends_with("Id") { session.agent.as_str() } else { "agent" });
    }
    visitor.emit("send_message", &[said]);
    assert_eq!(agent.event().await.expect("the visitor comes").args[0]["userId"], "u1");
    let heard = agent.event().await.expect("a message").args[0].clone();
    assert_eq!((&heard["senderId"], &heard["senderType"], &heard["senderName"]), (&json!("u1"), &json!("user"), &json!("u1")));
    visitor.emit("typing_start", &[json!({"sessionId": session.id, "userId": session.agent, "userType": "agent"})]);
    assert_eq!(agent.event().await.expect("typing").args[0]["userId"], "u1");
}

#[tokio::test]
async fn s17_a_rest_caller_is_whom_its_token_names_whatever_its_body_says() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    let own = token("u1", "user", 600);
    let forged = json!({"message": "hello", "senderId": session.agent, "senderType": "agent", "senderName": "Boss"});
    let (status, answer) = call(&shop, &own, "POST", &format!("/api/chat/send-message/{}", session.id), forged).await;
    let message = &answer["data"]["message"];
    assert_eq!((status, &message["senderId"], &message["senderType"]), (201, &json!("u1"), &json!("user")), "{answer}");
    let (status, _) = call(&shop, &own, "POST", "/api/chat/start-session", json!({"userId": "u2"})).await;
    assert_eq!(status, 403);
    let (_, answer) = call(&shop, &own, "POST", "/api/chat/start-session", json!({"userId": "u1", "userType": "agent"})).await;
    assert_eq!(answer["data"]["sessionId"], json!(session.id), "the visitor's own session");
    let availability = format!("/api/auth/{}/availability", session.agent);
    let (status, _) = call(&shop, &own, "PUT", &availability, json!({"isAvailable": false})).await;
    assert_eq!(status, 403);
    let (status, _) = call(&shop, &own, "GET", &format!("/api/chat/agent/{}/sessions", session.agent), json!(null)).await;
    assert_eq!(status, 403);
    // A visitor who calls himself as an agent is called is still none.
    let namesake = token(&session.agent, "user", 600);
    let (status, _) = call(&shop, &namesake, "PUT", &availability, json!({"isAvailable": false})).await;
    assert_eq!(status, 403);
    let mut socket = connect(&shop, &session.agent, "user").await;
    assert_eq!(socket.call("join_session", json!({"sessionId": session.id})).await.expect("an answer")["ok"], false);
}

#[tokio::test]
async fn s17_forged_tokens_name_nobody() {
    let shop = Shop::open(&[]).await;
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs()).expect("a time");
    let good = json!({"id": "u1", "type": "user", "iat": now, "exp": now + 600, "aud": "helpline:support", "iss": "helpline"});
    let with = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        claims
    };
    let sign = |algorithm, secret: &str, claims: &Value| {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
    };
    let own = sign(Algorithm::HS256, JWT_SECRET, &good);
    let (head, rest) = own.split_once('.').expect("a token");
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", rest.split('.').next().expect("claims"));
    let forged = [
        none,
        format!("{head}.{rest}x"),
        format!("{head}.{}", rest.split('.').next().expect("claims")),
        sign(Algorithm::HS256, "another secret that is long enough too", &good),
        sign(Algorithm::HS512, JWT_SECRET, &good),
        sign(Algorithm::HS256, JWT_SECRET, &with("exp", json!(now - 1))),
        sign(Algorithm::HS256, JWT_SECRET, &with("nbf", json!(now + 300))),
        sign(Algorithm::HS256, JWT_SECRET, &with("aud", json!("helpline:widget"))),
        sign(Algorithm::HS256, JWT_SECRET, &with("iss", json!("somebody"))),
        sign(Algorithm::HS256, JWT_SECRET, &with("type", json!("admin"))),
        sign(Algorithm::HS256, JWT_SECRET, &with("id", json!({"$ne": null}))),
        sign(Algorithm::HS256, JWT_SECRET, &with("id", json!(""))),
    ];
    for token in forged {
        let (status, answer) = call(&shop, &token, "GET", "/api/chat/stats", json!(null)).await;
        assert_eq!((status, &answer["message"]), (403, &json!("Invalid or expired token")), "{token}");
        match Dial::to(shop.server.address()).auth(json!({"token": token})).connect().await {
            Err(Refused::Connect(message)) => assert_eq!(message, "Authentication failed"),
            Err(Refused::Handshake(error)) => panic!("{error}"),
            Ok(_) => panic!("{token} was let in"),
        }
    }
    assert_eq!(call(&shop, &own, "GET", "/api/chat/stats", json!(null)).await.0, 200);
}

/// Every answer about somebody else's session, for comparison with those about none.
async fn answers_about(shop: &Shop, session: &str, kind: &str) -> Vec<String> {
    let mut socket = connect(shop, "stranger", kind).await;
    let named = json!({"sessionId": session, "message": "x", "lastSeq": 0});
    let mut answers = Vec::new();
    for event in ["join_session", "resume", "send_message", "typing_start", "leave_session"] {
        answers.push(socket.call(event, named.clone()).await.expect("an answer").to_string());
        socket.emit(event, std::slice::from_ref(&named));
    }
    answers.extend(socket.leftover().await.expect("a live socket").iter().map(|e| format!("{e:?}")));
    let bearer = token("stranger", kind, 600);
    let calls = [
        ("GET", "session/{}"),
        ("GET", "messages/{}"),
        ("POST", "send-message/{}"),
        ("POST", "end-session/{}"),
        ("POST", "session/{}/end"),
    ];
    for (method, path) in calls {
        let path = format!("/api/chat/{}", path.replace("{}", session));
        let (status, answer) = call(shop, &bearer, method, &path, json!({"message": "x"})).await;
        answers.push(format!("{status} {answer}"));
    }
    answers.iter().map(|a| a.replace(session, "<session>")).collect()
}

#[tokio::test]
async fn s18_a_foreign_session_looks_like_none_at_all() {
    let shop = Shop::open(&[]).await;
    let session = shop.session("u1").await;
    shop.post(&format!("/api/chat/send-message/{}", session.id), json!({"message": "private"})).await;
    let mut agent = shop.join(&session.id, &session.agent, "agent").await;
    for kind in ["user", "agent"] {
        let foreign = answers_about(&shop, &session.id, kind).await;
        assert_eq!(foreign, answers_about(&shop, &Uuid::new_v4().to_string(), kind).await);
        assert!(!foreign.iter().any(|a| a.contains("private") || a.contains("\"ok\":true,\"sessionId\"")), "{foreign:?}");
    }
    assert!(agent.leftover().await.expect("a live agent").is_empty());
    assert_eq!(shop.history(&session.id).await.len(), 1);
}
