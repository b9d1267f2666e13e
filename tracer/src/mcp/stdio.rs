//! The transport over stdin and stdout, which notices when the client is gone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rmcp::service::ServiceExt as _;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::stdio_pipes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

use crate::mcp::ending::{EndReason, Ending};
use crate::mcp::limits::{LAST_ANSWERS, MESSAGE_BYTES, TAKING};
use crate::mcp::server::AssistantServer;

/// Serves the one client until it is gone, or something else ends the server.
pub(super) async fn serve(server: AssistantServer, ending: Arc<Ending>) -> EndReason {
    let (input, output) = stdio_pipes();
    let input = WatchedInput {
        input,
        ending: Arc::clone(&ending),
    };
    let output = WatchedOutput {
        output,
        ending: Arc::clone(&ending),
        patience: None,
    };
    let transport = AsyncRwTransport::new_server(input, output).with_max_line_length(MESSAGE_BYTES);
    let of_service = Arc::clone(&ending);
    let served = tokio::spawn(async move {
        match server.serve(transport).await {
            // A panic has been reported by the panic hook.
            Ok(service) => drop(service.waiting().await),
            Err(error) => tracing::debug!(%error, "the client did not initialize"),
        }
        of_service.tell(EndReason::ClientGone);
    });
    let reason = ending.wait().await;
    if reason == EndReason::ClientGone {
        // Answers that are on their way may still be taken.
        let _ = timeout(LAST_ANSWERS, served).await;
    }
    reason
}

/// Tells when the client has closed its end.
struct WatchedInput<R> {
    input: R,
    ending: Arc<Ending>,
}

impl<R: AsyncRead + Unpin> AsyncRead for WatchedInput<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.input).poll_read(context, buffer));
        if read.is_err() || buffer.filled().len() == before {
            self.ending.tell(EndReason::ClientGone);
        }
        Poll::Ready(read)
    }
}

/// Tells when the client takes no more answers.
struct WatchedOutput<W> {
    output: W,
    ending: Arc<Ending>,
    /// Runs while a write waits.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<W: AsyncWrite + Unpin> WatchedOutput<W> {
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(done) => {
                self.patience = None;
                if done.is_err() {
                    self.ending.tell(EndReason::ClientGone);
                }
            }
            Poll::Pending => {
                let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(TAKING)));
                if patience.as_mut().poll(context).is_ready() {
                    self.ending.tell(EndReason::ClientGone);
                }
            }
        }
        written
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for WatchedOutput<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.output).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.output).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            timeout(Duration::from_secs(10), test)
                .await
                .expect("in time")
        });
    }

    #[test]
    fn end_of_the_input_ends_the_server() {
        run(async {
            let (client, ours) = duplex(64);
            let ending = Arc::<Ending>::default();
            let mut input = WatchedInput {
                input: ours,
                ending: Arc::clone(&ending),
            };
            drop(client);
            assert_eq!(input.read(&mut [0; 8]).await.expect("an end"), 0);
            assert_eq!(ending.wait().await, EndReason::ClientGone);
        });
    }

    #[test]
    fn failed_write_ends_the_server() {
        run(async {
            let (client, ours) = duplex(64);
            let ending = Arc::<Ending>::default();
            let mut output = WatchedOutput {
                output: ours,
                ending: Arc::clone(&ending),
                patience: None,
            };
            output.write_all(b"x").await.expect("room");
            drop(client);
            assert!(output.write_all(b"x").await.is_err());
            assert_eq!(ending.wait().await, EndReason::ClientGone);
        });
    }
}
