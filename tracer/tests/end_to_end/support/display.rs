//! An X server for the tests, and its pointer.

use std::path::Path;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::ConnectionExt;
use x11rb::rust_connection::RustConnection;

use super::program::Program;
use super::wait_for;

/// A position on the screen, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) x: i16,
    pub(crate) y: i16,
}

impl Point {
    pub(crate) const fn at(x: i16, y: i16) -> Self {
        Self { x, y }
    }
}

/// A virtual screen that nobody else uses.
pub(crate) struct Display {
    /// Value of `DISPLAY`.
    pub(crate) name: String,
    connection: RustConnection,
    root: u32,
    _server: Program,
}

impl Display {
    /// Starts an X server on a free display.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let args = "-displayfd 1 -screen 0 1280x1024x24 -nolisten tcp -noreset";
        let args: Vec<&str> = args.split(' ').collect();
        let server = Program::start(Path::new("Xvfb"), &args);
        let number = server.stdout.wait("the display's number", |lines| {
            lines.first().map(|line| line.trim().to_owned())
        });
        let name = format!(":{number}");
        let (connection, screen) = x11rb::connect(Some(&name)).expect("the server is up");
        let root = connection.setup().roots[screen].root;
        Self {
            name,
            connection,
            root,
            _server: server,
        }
    }

    /// Moves the pointer, and waits until the server confirms it.
    #[track_caller]
    pub(crate) fn move_pointer(&self, to: Point) {
        let none = x11rb::NONE;
        self.connection
            .warp_pointer(none, self.root, 0, 0, 0, 0, to.x, to.y)
            .expect("the server is up")
            .check()
            .expect("the pointer may be moved");
        wait_for("the pointer to be there", || {
            let reply = self.connection.query_pointer(self.root).expect("up");
            let reply = reply.reply().expect("the server answers");
            (Point::at(reply.root_x, reply.root_y) == to).then_some(())
        });
    }
}
