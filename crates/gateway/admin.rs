//! The admin address: `/metrics`, `/livez`, `/readyz`, `/limits`, `/brokers`, `/drain`.

mod brokers;
pub mod call;
mod limits;

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use self::brokers::Wish;
use crate::live::{Gateway, Phase};
use crate::metrics;
use crate::moment::Moment;
use crate::timer;

/// Connections to the admin address at once: probes, scrapers and a person.
const CONNECTIONS_MAX: usize = 64;

/// Time for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// What the registry's text is (`OpenMetrics`).
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const JSON_TYPE: &str = "application/json";

/// Serves the admin address until the process ends.
pub async fn serve(socket: TcpListener, gateway: Arc<Gateway>) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "the admin address can't be served");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let client = match socket.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "an admin connection can't be accepted");
                timer::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let gateway = Arc::clone(&gateway);
        tokio::task::spawn_local(async move {
            let answer = service_fn(|request| {
                let response = respond(&request, &gateway);
                async { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(client), answer)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "an admin connection failed");
            }
            drop(permit);
        });
    }
}

fn respond(request: &Request<Incoming>, gateway: &Gateway) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let is_drain = request.uri().path() == "/drain";
    let wish = match *request.method() {
        // A page in an operator's browser can post to the loopback address, and cannot do so without naming itself.
        Method::POST | Method::DELETE if is_drain && request.headers().contains_key(ORIGIN) => {
            return plain(StatusCode::FORBIDDEN, "not from a page in a browser\n".to_owned());
        }
        Method::POST if is_drain => Wish::Drain,
        Method::DELETE if is_drain => Wish::Undo,
        Method::GET | Method::HEAD if !is_drain => return told(request.uri().path(), query, gateway),
        _ => {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET; for /drain POST and DELETE\n".to_owned(),
            );
        }
    };
    let (status, text) = brokers::drain(gateway, query, wish);
    plain(status, text)
}

fn told(path: &str, query: &str, gateway: &Gateway) -> Response<Full<Bytes>> {
    match path {
        "/livez" => plain(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match unready(gateway) {
            None => plain(StatusCode::OK, "ready\n".to_owned()),
            Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        "/metrics" => {
            gateway.metrics.set_ready(unready(gateway).is_none());
            let live = gateway.live();
            let shards =
                live.clusters.iter().map(|(name, cluster)| (Arc::clone(name), cluster.shards.clone()));
            let (rules, now) = (Arc::clone(&live.rules), gateway.clock.at(Moment::now()));
            let brokers = metrics::OfBrokers(live.clusters.values().map(Arc::clone).collect());
            match metrics::exposition(&gateway.metrics, shards.collect(), brokers, rules, now) {
                Ok(text) => typed(METRICS_TYPE, text),
                Err(_) => {
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written\n".to_owned())
                }
            }
        }
        "/brokers" => typed(JSON_TYPE, brokers::answer(gateway)),
        "/limits" => match limits::answer(gateway, query) {
            Ok(text) => typed(JSON_TYPE, text),
            Err(why) => plain(StatusCode::BAD_REQUEST, why),
        },
        _ => plain(
            StatusCode::NOT_FOUND,
            "here are /metrics, /livez, /readyz, /limits, /brokers and /drain\n".to_owned(),
        ),
    }
}

/// Why the gateway is not ready: it ends, or a cluster was never reached.
fn unready(gateway: &Gateway) -> Option<String> {
    if gateway.phase() != Phase::Serving {
        return Some("ending\n".to_owned());
    }
    let live = gateway.live();
    let waiting: Vec<&str> = live
        .clusters
        .values()
        .filter(|cluster| cluster.topology().is_none())
        .map(|cluster| &*cluster.name)
        .collect();
    (!waiting.is_empty()).then(|| format!("not reached yet: {}\n", waiting.join(", ")))
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = typed("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

fn typed(kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
