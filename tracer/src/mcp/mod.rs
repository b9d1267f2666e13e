//! `tracer mcp`: a session for an assistant, over the Model Context Protocol.
//!
//! A frontend like the others: it has a session's handle and a subscription. Whoever starts the server chooses the
//! targets and the limits ([`Sandbox`]). No message of a client can change them. [`tools`], [`resources`] and [`prompts`]
//! are what a client sees. [`server`] writes each request and each answer to the audit file.

mod assistant;
mod audit;
mod ending;
mod guests;
mod http;
mod http_sessions;
mod kept;
pub mod limits;
mod prompts;
mod recordings;
mod resources;
mod sandbox;
mod server;
mod shown;
mod sources;
mod stdio;
mod tools;

use std::io;
use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Runtime;

pub use audit::AuditFile;
pub use http::HttpPlan;
pub use sandbox::Sandbox;

use assistant::AssistantSession;
use ending::{EndReason, Ending};
use recordings::NamedRecording;
use server::AssistantServer;

use crate::base::diagnostic::Diagnostic;
use crate::base::signals::Signals;
use crate::session::{Control, Session, SessionOptions};
use crate::sink::recording::reader::Recording;

/// A server, before it has a session.
#[derive(Debug)]
pub struct AssistantPlan {
    /// The limits.
    pub sandbox: Sandbox,
    /// The file of all that is asked and shown.
    pub audit: Option<AuditFile>,
    /// Clients come over HTTP, instead of stdin and stdout.
    pub http: Option<HttpPlan>,
    recordings: Vec<NamedRecording>,
}

/// Ends the process if its end takes too long.
pub trait ServerWatch {
    /// There is something to remove.
    fn begins(&self, control: &Arc<dyn Control>);
    /// Probes are being removed, or not any more.
    fn set_detaching(&self, detaching: bool);
}

impl AssistantPlan {
    /// A server with these limits and recordings.
    ///
    /// # Errors
    /// A recording may show what is redacted here, or two have the same name.
    pub fn new(sandbox: Sandbox, recordings: Vec<Recording>) -> Result<Self, Diagnostic> {
        let mut named: Vec<NamedRecording> = Vec::new();
        for recording in recordings {
            let recording = NamedRecording::new(recording, &sandbox.redactor)?;
            if named.iter().any(|other| other.name == recording.name) {
                return Err(Diagnostic::new(format!(
                    "two recordings have the name `{}`",
                    recording.name
                )));
            }
            named.push(recording);
        }
        Ok(Self {
            sandbox,
            audit: None,
            http: None,
            recordings: named,
        })
    }

    /// Keeps the limits in the options of a session.
    #[must_use]
    pub fn confine(&self, mut options: SessionOptions) -> SessionOptions {
        options.more_probes = true;
        options.usdt_semaphores = false;
        options.redactor = self.sandbox.redactor.clone();
        options.limits.confined = true;
        options.max_cpu = Some(self.sandbox.cpus);
        options
    }

    /// Serves until the client is gone or a signal comes. All probes are removed by then.
    ///
    /// `options` are those that the session was started with.
    ///
    /// # Errors
    /// The audit file could not be written, or the server could not be started.
    pub fn serve(
        self,
        session: &Arc<Session>,
        options: SessionOptions,
        watch: &dyn ServerWatch,
    ) -> Result<(), Diagnostic> {
        let failed = |error: io::Error| Diagnostic::new(format!("cannot serve: {error}"));
        let ending = Arc::<Ending>::default();
        let assistant = Arc::new(AssistantSession::new(
            Arc::clone(session),
            options,
            self.sandbox,
            self.recordings,
        ));
        watch.begins(&assistant.control);
        let of_signals = Arc::clone(&ending);
        let signals = Signals::listen(move |_| {
            of_signals.tell(EndReason::Signal);
            true
        });
        let signals = signals.map_err(failed)?;
        let server = AssistantServer::new(Arc::clone(&assistant), self.audit, Arc::clone(&ending));
        let stopped = (Arc::clone(&assistant), server.clone());
        let stop = Signals::listen_silence(move || {
            let (assistant, server) = &stopped;
            let removed = assistant.stop();
            server.happened(&json!({ "stopped_by": "SIGUSR1", "removed": removed.len() }));
            true
        });
        let stop = stop.map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("mcp")
            .enable_all()
            .build()
            .map_err(failed)?;
        let end = run(&runtime, &assistant, server, self.http, ending);
        watch.set_detaching(true);
        assistant.control.finish();
        watch.set_detaching(false);
        drop((signals, stop));
        // A thread may wait for input for ever.
        runtime.shutdown_background();
        match end.map_err(failed)? {
            EndReason::ClientGone | EndReason::Signal => Ok(()),
            EndReason::AuditFailed(why) => Err(Diagnostic::new(format!(
                "cannot write the audit file, so nothing is answered any more: {why}"
            ))),
        }
    }
}

/// Serves until something ends the server.
fn run(
    runtime: &Runtime,
    assistant: &Arc<AssistantSession>,
    server: AssistantServer,
    http: Option<HttpPlan>,
    ending: Arc<Ending>,
) -> io::Result<EndReason> {
    let pumped = Arc::clone(assistant);
    runtime.spawn(async move { pumped.pump().await });
    runtime.block_on(async {
        match http {
            None => Ok(stdio::serve(server, ending).await),
            Some(http) => tokio::select! {
                served = http.serve(server) => served.map(|never| match never {}),
                reason = ending.wait() => Ok(reason),
            },
        }
    })
}
