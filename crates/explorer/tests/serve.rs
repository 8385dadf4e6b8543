//! The server by real requests: what it computes, and what it refuses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use rewind_explorer::{Cells, Server};
use serde_json::{Value, json};

/// One server for all tests; it ends with the process.
fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let server = Server::bind(Cells::built_in(), "127.0.0.1:0").expect("a free port");
        let address = server.address();
        std::thread::spawn(|| server.run().expect("it serves"));
        address
    })
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    #[track_caller]
    fn assert_refused(&self, status: u16, why: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(why)));
    }
}

/// Sends bytes as they are, and reads until the server closes.
fn raw(request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    // A server that refuses a long body may close before it is sent.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

fn request(method: &str, path: &str, host: &str, kind: &str, body: &str) -> Answer {
    let length = body.len();
    raw(format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .as_bytes())
}

fn compute(fields: &Value) -> Answer {
    request("POST", "/compute", &address().to_string(), "application/json", &fields.to_string())
}

fn fields() -> Value {
    json!({
        "cells": ["tanh", "lstm"], "steps": 5, "hidden": 3, "scale": 1.5, "forget_bias": 1, "seed": 7, "losses": [4, 1],
        "inputs": null,
    })
}

/// The fields with another value of one.
fn with(name: &str, value: Value) -> Value {
    let mut fields = fields();
    fields[name] = value;
    fields
}

#[test]
fn the_page_is_served_with_its_bounds() {
    let page = request("GET", "/", &address().to_string(), "text/plain", "");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"), "{}", page.head);
    assert!(page.body.contains("\"served\":true") && page.body.contains("\"hidden\":[1,32]"));
}

#[test]
fn a_scene_is_computed() {
    let answer = compute(&fields());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let scene = answer.json();
    assert_eq!((&scene["id"], &scene["steps"]), (&json!("yours"), &json!(5)));
    assert_eq!(scene["settings"], fields());
    let networks = scene["networks"].as_array().expect("networks");
    assert_eq!(networks.iter().map(|n| n["id"].as_str().expect("an id")).collect::<Vec<_>>(), ["tanh", "lstm"]);
    for network in networks {
        assert_eq!(network["losses"].as_array().expect("losses").len(), 2);
        assert_eq!(network["hidden"], 3);
        assert!(network["total"].as_f64().expect("a number") > 0.0);
        for parameter in network["parameters"].as_array().expect("parameters") {
            assert!(parameter["residual"].as_f64().expect("a number") < 1e-12);
        }
    }
    assert_eq!(compute(&fields()).body, answer.body, "the same seed gives the same numbers");
}

/// Each field has an effect: another value gives another gradient.
#[test]
fn every_setting_changes_the_gradient() {
    let gradient = |fields: &Value| {
        let scene = compute(fields).json();
        let parameters = scene["networks"][1]["parameters"].clone();
        let hidden = parameters.as_array().expect("parameters").iter().find(|p| p["name"] == "cell.weight_hh");
        hidden.expect("it has one")["gradient"]["norm"].as_f64().expect("a number")
    };
    let before = gradient(&fields());
    let mut longer = with("steps", json!(6));
    longer["losses"] = json!([1, 5]);
    let others = [
        longer,
        with("hidden", json!(4)),
        with("scale", json!(2.0)),
        with("forget_bias", json!(3)),
        with("seed", json!(8)),
        with("losses", json!([2, 4])),
        with("inputs", json!([[1], [0], [0.5], [-1], [0]])),
    ];
    for other in others {
        assert_ne!(gradient(&other), before, "{other}");
    }
}

#[test]
fn every_bound_is_named_with_field_and_value() {
    let all = r#"["cells", "steps", "hidden", "scale", "forget_bias", "seed", "losses", "inputs"]"#;
    let cases = [
        (with("hidden", json!(900)), "hidden is 900; expected a whole number from 1 to 32".to_owned()),
        (with("hidden", json!(0)), "hidden is 0; expected a whole number from 1 to 32".to_owned()),
        (with("hidden", json!(2.5)), "hidden is 2.5; expected a whole number from 1 to 32".to_owned()),
        (with("hidden", json!(-3)), "hidden is -3; expected a whole number from 1 to 32".to_owned()),
        (with("hidden", json!("x")), "hidden is \"x\"; expected a whole number from 1 to 32".to_owned()),
        (with("steps", json!(201)), "steps is 201; expected a whole number from 1 to 200".to_owned()),
        (with("steps", json!(0)), "steps is 0; expected a whole number from 1 to 200".to_owned()),
        (with("scale", json!(10.5)), "scale is 10.5; expected 0 to 10".to_owned()),
        (with("scale", json!(-0.1)), "scale is -0.1; expected 0 to 10".to_owned()),
        (with("scale", json!(null)), "scale is null; expected 0 to 10".to_owned()),
        (with("forget_bias", json!(11)), "forget_bias is 11; expected -10 to 10".to_owned()),
        (with("forget_bias", json!(-11)), "forget_bias is -11; expected -10 to 10".to_owned()),
        (with("seed", json!(1_000_001)), "seed is 1000001; expected a whole number from 0 to 1000000".to_owned()),
        (with("seed", json!(-1)), "seed is -1; expected a whole number from 0 to 1000000".to_owned()),
        (with("losses", json!([])), "losses is []; expected a list of steps".to_owned()),
        (with("losses", json!([5])), "losses is 5; expected whole numbers from 0 to 4".to_owned()),
        (with("losses", json!([1, 1])), "losses has 1 twice; expected each step at most once".to_owned()),
        (with("cells", json!([])), "cells is []; expected a list of names".to_owned()),
        (
            with("cells", json!(["nn"])),
            "cells has \"nn\"; expected each of [\"tanh\", \"lstm\", \"gru\"] at most once".to_owned(),
        ),
        (
            with("cells", json!(["gru", "gru"])),
            "cells has \"gru\"; expected each of [\"tanh\", \"lstm\", \"gru\"] at most once".to_owned(),
        ),
        (with("inputs", json!([[1], [2]])), "inputs has 2 rows; expected 5, one for each step".to_owned()),
        (with("inputs", json!(3)), "inputs is 3; expected null or a list of rows".to_owned()),
        (
            with("inputs", json!([[1], [2], [3, 4], [5], [6]])),
            "inputs has the row [3,4] at step 2; expected 1 numbers".to_owned(),
        ),
        (
            with("inputs", json!([[], [], [], [], []])),
            "inputs has the row []; expected rows of 1 to 8 numbers".to_owned(),
        ),
        (
            with("inputs", json!([[1], [null], [3], [4], [5]])),
            "inputs has null at step 1; expected a number".to_owned(),
        ),
        (with("hiden", json!(3)), format!("\"hiden\" is no field; expected {all}")),
    ];
    for (fields, why) in cases {
        compute(&fields).assert_refused(400, &why);
    }
    let mut lacking = fields();
    lacking.as_object_mut().expect("fields").remove("seed");
    compute(&lacking).assert_refused(400, &format!("seed is missing; expected {all}"));
    let mut many = with("steps", json!(200));
    many["losses"] = (0..200).collect();
    compute(&many).assert_refused(
        400,
        "losses has 200 steps of 200; expected at most 20, so that losses times steps are 4096 at most",
    );
}

#[test]
fn what_is_no_json_is_refused() {
    let post = |body: &str| request("POST", "/compute", &address().to_string(), "application/json", body);
    let nan = fields().to_string().replace("1.5", "NaN");
    let huge = fields().to_string().replace("1.5", "1e999");
    for body in ["", "{", "\u{0}", &nan, &huge, &"[".repeat(10_000)] {
        let answer = post(body);
        let why = answer.json()["error"].as_str().expect("an error").to_owned();
        assert!(answer.status == 400 && why.starts_with("the request is no JSON: "), "{why}");
    }
    let all = r#"["cells", "steps", "hidden", "scale", "forget_bias", "seed", "losses", "inputs"]"#;
    post("[]").assert_refused(400, &format!("the request is []; expected an object of {all}"));
}

#[test]
fn other_paths_methods_and_kinds_are_refused() {
    let host = address().to_string();
    let nothing = "there is no such page; expected / or /compute";
    for path in ["/nothing", "/index.html", "/../Cargo.toml", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/compute/"]
    {
        request("GET", path, &host, "text/plain", "").assert_refused(404, nothing);
    }
    let method = "there is no such method; expected GET / or POST /compute";
    request("GET", "/compute", &host, "text/plain", "").assert_refused(405, method);
    request("DELETE", "/", &host, "text/plain", "").assert_refused(405, method);
    let kind = "the content type is not application/json";
    request("POST", "/compute", &host, "text/plain", &fields().to_string()).assert_refused(415, kind);
}

#[test]
fn a_huge_body_is_refused() {
    let why = "the request was cut, or is longer than 131072 bytes";
    let body = " ".repeat(200_000);
    request("POST", "/compute", &address().to_string(), "application/json", &body).assert_refused(413, why);
    // One that only says that it is huge, and one that does not say how long it is.
    let head = format!(
        "POST /compute HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nConnection: close\r\n",
        address()
    );
    raw(format!("{head}Content-Length: 99999999999\r\n\r\n{{}}").as_bytes()).assert_refused(413, why);
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n").as_bytes()).assert_refused(413, why);
}

#[test]
fn a_request_for_another_host_is_refused() {
    let port = address().port();
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"] {
        let name = host.split(':').next().expect("a name");
        let why = format!("the host is {name}; expected localhost or an address");
        request("GET", "/", host, "text/plain", "").assert_refused(403, &why);
        request("POST", "/compute", host, "application/json", &fields().to_string()).assert_refused(403, &why);
    }
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]".to_owned(), "LOCALHOST".to_owned()] {
        assert_eq!(request("GET", "/", &host, "text/plain", "").status, 200, "{host}");
    }
    let why = "the header Host is missing or unreadable";
    raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").assert_refused(400, why);
    request("GET", "/", "", "text/plain", "").assert_refused(400, why);
}

#[test]
fn concurrent_requests_get_their_own_answers() {
    let answers: Vec<(u64, Value)> = std::thread::scope(|scope| {
        let ask = |seed: u64| move || (seed, compute(&with("seed", json!(seed))).json());
        let threads: Vec<_> = (0..12).map(|seed| scope.spawn(ask(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    for (seed, scene) in &answers {
        assert_eq!(scene["settings"]["seed"], *seed);
    }
    let inputs: std::collections::BTreeSet<String> =
        answers.iter().map(|(_, scene)| scene["inputs"].to_string()).collect();
    assert_eq!(inputs.len(), answers.len(), "each seed draws a sequence of its own");
}

/// The largest request that is allowed, of all cells.
#[test]
fn the_largest_request_is_answered() {
    let mut largest = with("steps", json!(200));
    largest["hidden"] = json!(32);
    largest["cells"] = json!(["tanh", "lstm", "gru"]);
    largest["losses"] = (180..200).collect();
    largest["inputs"] = json!(vec![vec![0.5; 8]; 200]);
    let answer = compute(&largest);
    assert_eq!(answer.status, 200, "{}", &answer.body[..answer.body.len().min(300)]);
    assert!(answer.json()["networks"][2]["sweeps_left_out"].is_string());
}

/// Connections that send nothing, or a head that never ends, must not pile up.
#[test]
fn a_head_that_does_not_arrive_is_not_waited_for() {
    for start in ["", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(address()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream.write_all(start.as_bytes()).expect("it is open");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the server closes the connection");
        assert!(!String::from_utf8_lossy(&bytes).contains("200 OK"));
    }
}
