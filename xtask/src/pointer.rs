//! An X server, and a pointer that is moved from outside the target.

mod server;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::MOTION_NOTIFY_EVENT;
use x11rb::protocol::xtest::ConnectionExt;
use x11rb::rust_connection::RustConnection;

use crate::support::command::find;
use crate::support::failure::Failure;
use server::PointerServer;

/// A position on the screen, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) x: i16,
    pub(crate) y: i16,
}

/// A process that ends on drop.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail only if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An X server: the user's, or our own.
#[derive(Debug)]
pub(crate) struct Display {
    name: String,
    server: Server,
}

/// Owner of the server. Our own ends with us.
#[derive(Debug)]
enum Server {
    Given,
    Xvfb { _process: Running },
    Small(PointerServer),
}

impl Display {
    /// The server of the environment, if it answers.
    pub(crate) fn given() -> Option<Self> {
        let name = std::env::var("DISPLAY").ok()?;
        if name.is_empty() {
            return None;
        }
        let display = Self {
            name,
            server: Server::Given,
        };
        match Hand::on(&display) {
            Ok(_) => Some(display),
            Err(error) => {
                eprintln!("`DISPLAY` is of no use here: {error:#}");
                None
            }
        }
    }

    /// Starts a server without a screen on a free display, and waits until it is ready. It is Xvfb
    /// if that is installed, or else our own small server.
    ///
    /// # Errors
    /// The server could not be started.
    pub(crate) fn start() -> Result<Self> {
        if find("Xvfb").is_some() {
            return Self::start_xvfb();
        }
        let server = PointerServer::start().context("cannot start an X server")?;
        Ok(Self {
            name: format!(":{}", server.number()),
            server: Server::Small(server),
        })
    }

    fn start_xvfb() -> Result<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24"])
            .args(["-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the X server Xvfb")?;
        let stdout = server.stdout.take();
        let server = Running(server);
        // It writes the number once clients may connect.
        let mut number = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut number)
                .context("cannot read the number of Xvfb's display")?;
        }
        if number.trim().is_empty() {
            return Err(Failure::new("the X server Xvfb found no display to serve").into());
        }
        Ok(Self {
            name: format!(":{}", number.trim()),
            server: Server::Xvfb { _process: server },
        })
    }

    /// Readable name of the server.
    pub(crate) fn kind(&self) -> &'static str {
        match self.server {
            Server::Given => "the X server that is here",
            Server::Xvfb { .. } => "the X server Xvfb",
            Server::Small(_) => "a small X server of our own, as no other is installed",
        }
    }

    /// `DISPLAY` for its clients.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A way to move the pointer of an X server: its XTEST extension, or our own server.
pub(crate) enum Hand {
    /// By the extension XTEST.
    Xtest {
        /// The connection to the server.
        connection: Box<RustConnection>,
        /// The screen's number.
        screen: usize,
    },
    /// In our own server.
    Small(Arc<Mutex<Point>>),
}

impl Hand {
    /// Connects to the server.
    ///
    /// # Errors
    /// There is no server, or it lacks the extension.
    pub(crate) fn on(display: &Display) -> Result<Self> {
        if let Server::Small(server) = &display.server {
            return Ok(Self::Small(server.pointer()));
        }
        let (connection, screen) = x11rb::connect(Some(display.name()))
            .with_context(|| format!("cannot connect to the X server `{}`", display.name()))?;
        connection
            .xtest_get_version(2, 2)
            .context("cannot ask the X server")?
            .reply()
            .context("the X server has no XTEST extension to move the pointer with")?;
        Ok(Self::Xtest {
            connection: Box::new(connection),
            screen,
        })
    }

    /// Moves the pointer, and returns when it has moved.
    ///
    /// # Errors
    /// The server is gone.
    pub(crate) fn move_to(&self, to: Point) -> Result<()> {
        let (connection, screen) = match self {
            Self::Xtest { connection, screen } => (connection, *screen),
            Self::Small(pointer) => {
                *pointer.lock().unwrap_or_else(PoisonError::into_inner) = to;
                return Ok(());
            }
        };
        let root = connection.setup().roots[screen].root;
        connection
            .xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, root, to.x, to.y, 0)
            .context("cannot ask the X server")?
            .check()
            .context("the X server did not move the pointer")
    }
}

/// The `step`-th position of an endless path. Each move changes both axes, all four pairs of
/// directions occur, and consecutive positions differ.
pub(crate) fn path(step: usize) -> Point {
    // A zigzag on each axis. The periods have only the factor two in common, so all pairs of
    // directions occur.
    let zigzag = |period: usize| {
        let phase = step % period;
        i16::try_from(phase.min(period - phase)).unwrap_or(0)
    };
    Point {
        x: 200 + zigzag(10) * 80,
        y: 150 + zigzag(14) * 40,
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn path_every_step_moves_on_both_axes_inside_the_screen() {
        for step in 0..1000 {
            let (from, to) = (path(step), path(step + 1));
            assert!(from.x != to.x && from.y != to.y, "step {step}");
            assert!((0..1280).contains(&to.x) && (0..800).contains(&to.y));
        }
    }

    #[test]
    fn path_goes_in_all_four_pairs_of_directions() {
        let mut seen: Vec<(bool, bool)> = (0..70)
            .map(|step| {
                let (from, to) = (path(step), path(step + 1));
                (to.x > from.x, to.y > from.y)
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 4);
    }
}
