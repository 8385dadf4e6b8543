//! The page on an address of this machine, with the engine behind it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cells::Cells;
use crate::error::Result as Computed;
use crate::request::{self, Request};
use crate::{Page, page};

/// The longest body of a request, in bytes: 200 steps of 8 features take a third of it.
const LONGEST_BODY: usize = 128 * 1024;
/// How long a client may take to send the head of a request, and how long for its body. An idle connection is closed after it too.
const LONGEST_ARRIVAL: Duration = Duration::from_secs(5);
/// How long a request may wait and compute. By the bounds of its fields it computes for a second or two; the rest is for others before it.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);
/// How many requests are computed at once.
const AT_ONCE: usize = 2;

/// The page, served: every change of a setting is computed by the engine.
///
/// It answers `GET /` with the page and `POST /compute` with a scene, and reads and writes no file. Sizes are bounded, so that a
/// request takes seconds at most. A request for another host name is refused: a page elsewhere, whose name leads to this machine, gets
/// no answer.
///
/// ```no_run
/// use rewind_explorer::{Cells, Server};
/// let server = Server::bind(Cells::built_in(), "localhost:0")?;
/// println!("http://{}/", server.address());
/// server.run()?; // until Ctrl-C
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    cells: Cells,
    page: String,
    /// The host name that was bound.
    host: String,
    places: Arc<Semaphore>,
}

impl Server {
    /// Listens on `address`, `host:port`. Port 0 is any that is free.
    ///
    /// # Errors
    /// If the address cannot be had, or a cell does not fit the scenes of the page.
    pub fn bind(cells: Cells, address: &str) -> Computed<Self> {
        let failed = |source| crate::Error::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let own = listener.local_addr().map_err(failed)?;
        let mut data = Page::lecture(&cells)?.data;
        (data.served, data.bounds) = (true, Some(request::bounds(&cells)));
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
        let shared = Shared { page: page::html(&data), cells, host, places: Arc::new(Semaphore::new(AT_ONCE)) };
        Ok(Server { listener, address: own, shared: Arc::new(shared) })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until Ctrl-C.
    ///
    /// # Errors
    /// What the system says.
    pub fn run(self) -> io::Result<()> {
        self.run_until(async {
            if tokio::signal::ctrl_c().await.is_err() {
                // Without the signal it is ended from outside.
                std::future::pending().await
            }
        })
    }

    fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            tokio::select! {
                () = accept(listener, router(self.shared)) => {}
                () = stop => {}
            }
            Ok(())
        });
        // Open connections end here; what is being computed ends by itself.
        runtime.shutdown_background();
        served
    }
}

/// Serves every connection, each on a task of its own. `axum::serve` would wait for the head of a request forever.
async fn accept(listener: tokio::net::TcpListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open, or a client has left: others may be served later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(LONGEST_ARRIVAL);
            // An error is that of the client, who knows.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let refused = |status, why: &'static str| move || async move { error(status, why) };
    Router::new()
        .route("/", get(index))
        .route("/compute", post(compute))
        .fallback(refused(StatusCode::NOT_FOUND, "there is no such page; expected / or /compute"))
        .method_not_allowed_fallback(refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "there is no such method; expected GET / or POST /compute",
        ))
        .layer(from_fn_with_state(shared.clone(), for_this_host))
        .with_state(shared)
}

async fn index(State(shared): State<Arc<Shared>>) -> Response {
    answer(StatusCode::OK, "text/html; charset=utf-8", shared.page.clone())
}

async fn compute(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    // Another site's page can send no JSON without asking before, which gets no answer.
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type is not application/json");
    }
    let too_long = || {
        let why = format!("the request was cut, or is longer than {LONGEST_BODY} bytes");
        error(StatusCode::PAYLOAD_TOO_LARGE, &why)
    };
    if request.body().size_hint().lower() > LONGEST_BODY as u64 {
        return too_long();
    }
    let body = match timeout(LONGEST_ARRIVAL, to_bytes(request.into_body(), LONGEST_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return too_long(),
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time"),
    };
    let request = match Request::read(&body, &shared.cells) {
        Ok(request) => request,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    match timeout(LONGEST_ANSWER, computed(shared, request)).await {
        Ok(answer) => answer,
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "too much is being computed; try again"),
    }
}

/// The scene of a request, computed on a thread of its own when there is a place.
async fn computed(shared: Arc<Shared>, request: Request) -> Response {
    let Ok(place) = shared.places.clone().acquire_owned().await else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "the server is closed");
    };
    let scene = move || {
        // Until it is computed, also if the client has left.
        let _place = place;
        let scene = request.compute(&shared.cells)?;
        Computed::Ok(serde_json::to_string(&scene).expect("numbers, texts and lists can always be written"))
    };
    match tokio::task::spawn_blocking(scene).await {
        Ok(Ok(json)) => answer(StatusCode::OK, "application/json", json),
        Ok(Err(why)) => error(StatusCode::BAD_REQUEST, &why.to_string()),
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "a cell panicked; the server's terminal has the message"),
    }
}

/// Refuses requests that name another host: a name elsewhere may lead to this machine (DNS rebinding), an address cannot.
async fn for_this_host(State(shared): State<Arc<Shared>>, request: HttpRequest, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let Some(host) = host else {
        return error(StatusCode::BAD_REQUEST, "the header Host is missing or unreadable");
    };
    let name = host.host();
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    if is_address || name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(&shared.host) {
        return next.run(request).await;
    }
    error(StatusCode::FORBIDDEN, &format!("the host is {name}; expected localhost or an address"))
}

fn error(status: StatusCode, why: &str) -> Response {
    answer(status, "application/json", json!({ "error": why }).to_string())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers.map(|(name, value)| (name, HeaderValue::from_static(value))), Body::from(body)).into_response()
}
