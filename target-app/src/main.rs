//! Watches the mouse pointer and prints its movements.
//!
//! An ordinary program that knows nothing of tracing. It contains one bug on purpose, for the demo
//! and the tests: the messages for the two directions of a movement are swapped, on both axes.

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use clap::Parser;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt, Window};
use x11rb::rust_connection::RustConnection;

/// Time between two queries of the X server.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

type Failure = Box<dyn Error + Send + Sync>;

/// Watch the mouse pointer and print where it moved
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How long to watch
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
}

/// Position of the pointer on the root window, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pointer {
    x: i16,
    y: i16,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("target-app: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    println!("Starting a background task that monitors the mouse position");
    let (failed, failure) = mpsc::channel();
    thread::Builder::new()
        .name("Monitor".to_owned())
        .spawn(move || monitor(&failed))?;

    println!(
        "The main thread monitors mouse movement for {} seconds",
        args.seconds
    );
    match failure.recv_timeout(Duration::from_secs(args.seconds)) {
        Err(RecvTimeoutError::Timeout) => {
            println!("Exiting");
            Ok(())
        }
        Ok(error) => Err(error),
        Err(RecvTimeoutError::Disconnected) => Err("the thread `Monitor` ended early".into()),
    }
}

/// Watches until an error occurs, and passes it to the main thread.
fn monitor(failed: &Sender<Failure>) {
    let Err(error) = watch_pointer();
    // The main thread is gone only if the whole program is about to end.
    let _ = failed.send(error);
}

fn watch_pointer() -> Result<std::convert::Infallible, Failure> {
    let (connection, root) = connect()?;
    let mut last = query_pointer(&connection, root)?;
    loop {
        thread::sleep(POLL_INTERVAL);
        let current = query_pointer(&connection, root)?;
        if current != last {
            report_mouse_movement(current, last);
        }
        last = current;
    }
}

fn connect() -> Result<(RustConnection, Window), Failure> {
    let display = match std::env::var("DISPLAY") {
        Ok(display) if !display.is_empty() => display,
        _ => return Err("no X server to ask: `DISPLAY` is not set".into()),
    };
    let (connection, screen) = x11rb::connect(None)
        .map_err(|error| format!("cannot connect to the X server `{display}`: {error}"))?;
    let root = connection.setup().roots[screen].root;
    Ok((connection, root))
}

fn query_pointer(connection: &RustConnection, root: Window) -> Result<Pointer, Failure> {
    let reply = connection
        .query_pointer(root)
        .map_err(Failure::from)
        .and_then(|cookie| cookie.reply().map_err(Failure::from))
        .map_err(|error| format!("the X server did not answer: {error}"))?;
    Ok(Pointer {
        x: reply.root_x,
        y: reply.root_y,
    })
}

/// Prints the new position, then both directions of the movement.
fn report_mouse_movement(current: Pointer, last: Pointer) {
    println!(
        "Mouse Pointer Location Change: X: {}, Y: {}",
        current.x, current.y
    );
    if current.x > last.x {
        println!("Mouse moved left");
    } else {
        println!("Mouse moved right");
    }
    if current.y > last.y {
        println!("Mouse moved up");
    } else {
        println!("Mouse moved down");
    }
}
