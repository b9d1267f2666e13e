//! `--prometheus ADDR:PORT`: a page with the metrics of now, for a Prometheus that comes and reads it.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::sync::{Notify, Semaphore};

use super::endpoint::Environment;
use super::limits::{SCRAPE_WAIT, SCRAPES};
use super::metrics::Metrics;
use super::openmetrics::{MEDIA_TYPE, page};
use super::resource::{Resources, now_ns};
use crate::base::diagnostic::Diagnostic;
use crate::session::Control;

/// The address of the page, which is reserved before there is a session.
#[derive(Debug)]
pub struct ScrapePlan {
    listener: TcpListener,
    address: SocketAddr,
    resource: Vec<KeyValue>,
}

impl ScrapePlan {
    /// Reserves the address.
    ///
    /// # Errors
    /// It is not this machine's, or is in use.
    pub fn bind(address: SocketAddr) -> Result<Self, Diagnostic> {
        let failed = |error: std::io::Error| {
            Diagnostic::new(format!("cannot serve metrics at {address}: {error}"))
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            resource: Environment::read().resource()?,
        })
    }

    /// The address, with the port that the system has chosen if it was to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the metrics of a session from now on. `began_ns` is its start, in ns since the Unix epoch.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(self, control: Arc<dyn Control>, began_ns: u64) -> Result<Scrapes, Diagnostic> {
        let failed =
            |error: std::io::Error| Diagnostic::new(format!("cannot serve metrics: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(failed)?
        };
        let end = Arc::<Notify>::default();
        let until = Arc::clone(&end);
        let source = Arc::new(Mutex::new(PageSource {
            control,
            metrics: Metrics::new(began_ns),
            resources: Resources::new(self.resource),
        }));
        let thread = thread::Builder::new()
            .name("prometheus".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(&listener, &source) => {}
                        () = until.notified() => {}
                    }
                });
            })
            .map_err(failed)?;
        Ok(Scrapes { end, thread })
    }
}

/// A page that is served.
#[derive(Debug)]
pub struct Scrapes {
    end: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Scrapes {
    /// Ends it.
    pub fn end(self) {
        self.end.notify_one();
        // Its thread waits for nothing else.
        let _ = self.thread.join();
    }
}

/// Makes the page.
struct PageSource {
    control: Arc<dyn Control>,
    metrics: Metrics,
    resources: Resources,
}

impl PageSource {
    fn page(&mut self) -> String {
        let aggregates = self.control.aggregates();
        let probes = self.control.probes();
        let set = self.metrics.of(&aggregates, &probes, now_ns());
        page(&set, &self.resources.of_control(&*self.control))
    }
}

async fn serve(listener: &tokio::net::TcpListener, source: &Arc<Mutex<PageSource>>) {
    let places = Arc::new(Semaphore::new(SCRAPES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a scraper could not be accepted");
                // Too many open files, for example.
                tokio::time::sleep(SCRAPE_WAIT / 100).await;
                continue;
            }
        };
        let source = Arc::clone(source);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, Arc::clone(&source)));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(SCRAPE_WAIT)
                // One that stays would keep its place.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            if tokio::time::timeout(SCRAPE_WAIT, connection).await.is_err() {
                tracing::debug!("a scraper was too slow");
            }
            drop(place);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    source: Arc<Mutex<PageSource>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            (StatusCode::OK, MEDIA_TYPE, source.page())
        }
        (&Method::GET | &Method::HEAD, _) => {
            let text = "the metrics are at /metrics\n".to_owned();
            (StatusCode::NOT_FOUND, "text/plain", text)
        }
        _ => {
            let text = "the page can only be read\n".to_owned();
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", text)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    Ok(response)
}
