//! Strangers at both doors: whatever they send, or begin to send, the server says how it is and serves those
//! who have business there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nightjar_model::protocol::wire;
use nightjar_model::protocol::wire::agents_client::AgentsClient;
use reqwest::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{Stand, wait_for};

/// The attacker's, another user's, and the one the server is watched from.
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const USER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn many_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

async fn connect(from: IpAddr, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await
}

/// Opens so many connections and sends `start` on each; what is answered is left alone.
async fn begin(many: usize, port: u16, start: &'static [u8]) -> Vec<TcpStream> {
    let mut opening = JoinSet::new();
    for _ in 0..many {
        opening.spawn(async move {
            let mut stream = connect(ATTACKER, port).await?;
            stream.write_all(start).await?;
            Ok::<_, std::io::Error>(stream)
        });
    }
    opening.join_all().await.into_iter().filter_map(Result::ok).collect()
}

fn client(from: IpAddr) -> reqwest::Client {
    reqwest::Client::builder()
        .local_address(from)
        .timeout(Duration::from_secs(10))
        // Each time as somebody new would.
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

/// Health from the user's and from the attacker's own address within a second, and a user's login.
async fn check_open(stand: &Stand, during: &str) {
    for from in [USER, ATTACKER] {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{}/-/healthy", stand.http);
        let answer = client(from).get(url).send().await.unwrap_or_else(|error| panic!("{during}, {from}: {error:?}"));
        assert_eq!(answer.status(), StatusCode::OK, "{during}, {from}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{during}, {from}: {:?}", begun.elapsed());
    }
    let url = format!("http://127.0.0.1:{}/api/v1/auth/login", stand.http);
    let login = json!({ "name": "admin", "password": "correct horse" });
    let answer = client(USER).post(url).json(&login).send().await.unwrap_or_else(|error| panic!("{during}: {error:?}"));
    assert_eq!(answer.status(), StatusCode::OK, "{during}");
}

/// Clients keep a connection for the next request, and send it without asking whether the server still has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_for_the_next_request() {
    let stand = Stand::start().await;
    let mut stream = connect(USER, stand.http).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("the connection is still there");
        assert_eq!(&answer, b"HTTP/1.1 200");
        // Longer than a first request may take to come: nothing is to happen meanwhile.
        let closed = tokio::time::timeout(Duration::from_secs(20), ends(&mut stream)).await;
        assert!(closed.is_err(), "a connection that is kept was closed within 20 s");
    }
}

/// Looks again and again, until what is waited for has come; it has to within 30 s.
async fn check_until<T>(stand: &Stand, during: &str, awaited: impl Future<Output = T>) -> T {
    let mut again = tokio::time::interval(Duration::from_millis(200));
    let looking = async {
        loop {
            again.tick().await;
            check_open(stand, during).await;
        }
    };
    let awaited = tokio::time::timeout(Duration::from_secs(30), awaited);
    tokio::select! {
        answer = awaited => answer.unwrap_or_else(|_| panic!("{during}: it is not over")),
        () = looking => unreachable!("it looks for ever"),
    }
}

/// A byte on each every now and then, until all of them were hung up on.
async fn drip(mut streams: Vec<TcpStream>) {
    let mut drops = tokio::time::interval(Duration::from_millis(500));
    while !streams.is_empty() {
        drops.tick().await;
        let mut open = Vec::new();
        for mut stream in streams {
            if stream.write_all(b"x").await.is_ok() {
                open.push(stream);
            }
        }
        streams = open;
    }
}

/// Reads to the end, however it comes.
async fn ends(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end as well.
    stream.read_to_end(&mut answer).await.ok();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_stop_nobody() {
    many_files();
    let stand = Stand::start().await;
    const HALF_A_BODY: &[u8] = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 60\r\n\r\n{\"name\":";
    const HALF_A_CHUNK: &[u8] = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\n\r\n5\r\n{\"";
    const HALF_A_HEAD: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-";
    const HALF_A_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM";
    const NOTHING: &[u8] = b"";
    // As many as may be worked on at once, and more. Which of those that come together is taken in last is not known.
    let _bodies = begin(600, stand.http, HALF_A_BODY).await;
    check_open(&stand, "half-sent bodies").await;
    let mut last = begin(1, stand.http, HALF_A_BODY).await.pop().unwrap();
    let answer = check_until(&stand, "half-sent bodies", ends(&mut last)).await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));

    let mut held = Vec::new();
    for start in [HALF_A_CHUNK, HALF_A_HEAD, HALF_A_PREFACE, NOTHING] {
        held.push(begin(300, stand.http, start).await);
        check_open(&stand, &String::from_utf8_lossy(start)).await;
    }
    // Drop by drop: headers without an end. None of them is kept for long.
    let dripping = begin(100, stand.http, HALF_A_HEAD).await;
    let mut silent = held.pop().and_then(|mut held| held.pop()).unwrap();
    check_until(&stand, "all together", async { tokio::join!(ends(&mut silent), drip(dripping)) }).await;
}

/// One connection may hold many requests of HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn streams_without_an_end_stop_nobody() {
    many_files();
    let stand = Stand::start().await;
    let mut streams = Vec::new();
    let mut connections = JoinSet::new();
    for _ in 0..20 {
        let stream = connect(ATTACKER, stand.http).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        connections.spawn(async move { connection.await.ok() });
        for _ in 0..40 {
            sender = sender.ready().await.unwrap();
            let request = http::Request::post(format!("http://127.0.0.1:{}/api/v1/auth/login", stand.http))
                .header("content-type", "application/json")
                .body(())
                .unwrap();
            let (answer, mut body) = sender.send_request(request, false).unwrap();
            body.send_data(b"{\"name\":"[..].into(), false).unwrap();
            streams.push((answer, body));
        }
    }
    let (answer, _body) = streams.pop().unwrap();
    let answer = check_until(&stand, "streams without an end", answer).await.unwrap();
    assert_eq!(answer.status(), 408);
    // Streams opened and reset at once, as fast as it goes.
    let stream = connect(ATTACKER, stand.http).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    connections.spawn(async move { connection.await.ok() });
    for _ in 0..2000 {
        let Ok(ready) = sender.ready().await else { break };
        sender = ready;
        let request = http::Request::get(format!("http://127.0.0.1:{}/-/healthy", stand.http)).body(()).unwrap();
        let Ok((answer, mut body)) = sender.send_request(request, false) else { break };
        body.send_reset(h2::Reason::CANCEL);
        drop(answer);
    }
    check_open(&stand, "streams reset at once").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_door_stays_open_too() {
    many_files();
    let mut stand = Stand::start().await;
    let port = stand.agents_port;
    let silent = begin(400, port, b"").await;
    let preface = begin(400, port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // Enrolments that begin and do not go on.
    let mut connections = JoinSet::new();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let (sender, connection) = h2::client::handshake(connect(ATTACKER, port).await.unwrap()).await.unwrap();
        connections.spawn(async move { connection.await.ok() });
        let mut sender = sender.ready().await.unwrap();
        for _ in 0..10 {
            let request = http::Request::post(format!("http://127.0.0.1:{port}/nightjar.agents.v1.Agents/Enrol"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", "Bearer nje_made-up")
                .body(())
                .unwrap();
            sender = sender.ready().await.unwrap();
            let (answer, mut body) = sender.send_request(request, false).unwrap();
            body.send_data(b"\0\0\0\x10\0half".to_vec().into(), false).unwrap();
            streams.push((answer, body));
        }
    }
    // Meanwhile an agent comes.
    stand.start_agent("agent", &[]).await;
    check_open(&stand, "strangers at the agents' port").await;

    // A stranger may say a little, not megabytes.
    let mut agents = AgentsClient::connect(format!("http://127.0.0.1:{port}")).await.unwrap();
    let facts = wire::Facts { hostname: "h".repeat(4 << 20), ..wire::Facts::default() };
    let mut request = tonic::Request::new(wire::EnrolRequest { facts: Some(facts) });
    request.metadata_mut().insert("authorization", "Bearer nje_made-up".parse().unwrap());
    let refused = agents.enrol(request).await.expect_err("it is too much");
    assert!(!refused.message().contains("not known"), "it was read whole: {refused}");

    // Those who say nothing are hung up on, and the agent is not.
    // All of them: also where more come at once than can be taken in at once.
    for (what, streams) in [("silent", silent), ("preface", preface)] {
        let (count, mut ending) = (streams.len(), JoinSet::new());
        for mut stream in streams {
            ending.spawn(async move { ends(&mut stream).await });
        }
        let all = async { while ending.join_next().await.is_some() {} };
        let waited = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert!(waited.is_ok(), "{what}: {} of {count} were not hung up on", ending.len());
    }
    wait_for("the agent to be there still", Duration::from_secs(10), async || {
        let agents = stand.get("workspaces/default/agents").await;
        match agents["items"][0]["health"].as_str() {
            Some("healthy") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
