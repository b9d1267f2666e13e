//! The sessions of clients over HTTP: few at a time, because each keeps memory until its client ends it or is silent.

use futures_core::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager};
use tokio::sync::Mutex;

use crate::mcp::limits::HTTP_SESSIONS;

/// The sessions.
#[derive(Debug, Default)]
pub(super) struct HttpSessions {
    sessions: LocalSessionManager,
    /// Held while one is made.
    making: Mutex<()>,
}

/// The reason why a session cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpSessionError {
    #[error("{}", full())]
    Full,
    #[error(transparent)]
    Other(#[from] LocalSessionManagerError),
}

/// The answer to a client that finds no room.
pub(super) fn full() -> String {
    format!(
        "there are {HTTP_SESSIONS} sessions, which is the limit: end one with DELETE, or wait until one was silent for \
         5 minutes"
    )
}

impl HttpSessions {
    /// Returns true if no other session can be made.
    pub(super) async fn are_full(&self) -> bool {
        self.sessions.sessions.read().await.len() >= HTTP_SESSIONS
    }
}

type HttpStream<S> = Result<S, HttpSessionError>;

impl SessionManager for HttpSessions {
    type Error = HttpSessionError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let _making = self.making.lock().await;
        match self.are_full().await {
            true => Err(HttpSessionError::Full),
            false => Ok(self.sessions.create_session().await?),
        }
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        Ok(self.sessions.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.sessions.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        Ok(self.sessions.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> HttpStream<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.sessions.create_stream(id, message).await?)
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        Ok(self.sessions.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> HttpStream<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.sessions.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> HttpStream<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.sessions.resume(id, last_event_id).await?)
    }
}
