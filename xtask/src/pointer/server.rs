//! A small X server for machines without one: an invisible screen and its pointer.
//!
//! Every X server of Debian brings more than 220 MB of packages to a machine without one. The
//! demo's target needs only the pointer, so this server answers those requests and returns an error
//! for all others. x11rb encodes its answers.

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use x11rb::protocol::xproto::{
    BackingStore, Depth, EventMask, GetInputFocusReply, ImageOrder, InputFocus, KeyButMask,
    QueryExtensionReply, QueryPointerReply, Screen, Setup, VisualClass, Visualtype,
};
use x11rb::x11_utils::Serialize;

use super::Point;

/// Displays to try, beyond those of users and virtual screens.
const DISPLAYS: std::ops::Range<u32> = 200..300;
/// The root window, the colours of its screen, and their visual.
const ROOT: u32 = 1;
const COLORMAP: u32 = 2;
const VISUAL: u32 = 3;
/// Bytes of every reply and error without further data.
const ANSWER: usize = 32;
/// Numbers of the supported requests.
const QUERY_POINTER: u8 = 38;
const GET_INPUT_FOCUS: u8 = 43;
const QUERY_EXTENSION: u8 = 98;
/// The error for all other requests.
const BAD_REQUEST: u8 = 1;
/// The byte order of a client on this machine.
const BYTE_ORDER: u8 = if cfg!(target_endian = "little") {
    b'l'
} else {
    b'B'
};

/// The running server, which ends with this process.
#[derive(Debug)]
pub(super) struct PointerServer {
    number: u32,
    pointer: Arc<Mutex<Point>>,
}

impl PointerServer {
    /// Starts the server on a free display. Clients may connect when this returns.
    ///
    /// # Errors
    /// No display is free.
    pub(super) fn start() -> io::Result<Self> {
        let (number, listener) = listen()?;
        let pointer = Arc::new(Mutex::new(Point { x: 0, y: 0 }));
        let shown = Arc::clone(&pointer);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let pointer = Arc::clone(&shown);
                // As with any X server, a client that breaks the protocol loses its connection.
                std::thread::spawn(move || serve(client, &pointer));
            }
        });
        Ok(Self { number, pointer })
    }

    /// The number of its display.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Position of its pointer.
    pub(super) fn pointer(&self) -> Arc<Mutex<Point>> {
        Arc::clone(&self.pointer)
    }
}

/// Listens on the abstract socket of the first free display, which leaves no file behind.
fn listen() -> io::Result<(u32, UnixListener)> {
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for number in DISPLAYS {
        let path = format!("/tmp/.X11-unix/X{number}");
        if Path::new(&path).exists() {
            continue;
        }
        match UnixListener::bind_addr(&SocketAddr::from_abstract_name(&path)?) {
            Ok(listener) => return Ok((number, listener)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Answers one client until it leaves.
fn serve(mut client: UnixStream, pointer: &Mutex<Point>) -> io::Result<()> {
    greet(&mut client)?;
    let mut sequence: u16 = 0;
    loop {
        let mut head = [0; 4];
        client.read_exact(&mut head)?;
        let [request, _, low, high] = head;
        let words = usize::from(u16::from_ne_bytes([low, high]));
        // The length includes the header. It is 0 for large requests, which this server does not
        // offer.
        let rest = (words.checked_sub(1)).ok_or(io::ErrorKind::InvalidData)? * 4;
        client.read_exact(&mut vec![0; rest])?;
        sequence = sequence.wrapping_add(1);
        let at = *pointer.lock().unwrap_or_else(PoisonError::into_inner);
        client.write_all(&answer(request, sequence, at))?;
    }
}

/// Reads the client's greeting, and answers with the screen.
fn greet(client: &mut UnixStream) -> io::Result<()> {
    let mut head = [0; 12];
    client.read_exact(&mut head)?;
    if head[0] != BYTE_ORDER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let padded = |low, high| usize::from(u16::from_ne_bytes([low, high])).next_multiple_of(4);
    // Name and data of an authorisation, which is not required.
    client.read_exact(&mut vec![
        0;
        padded(head[6], head[7]) + padded(head[8], head[9])
    ])?;
    let mut setup = setup();
    // Length in words, from the ninth byte on.
    setup.length = u16::try_from((setup.serialize().len() - 8) / 4).map_err(io::Error::other)?;
    client.write_all(&setup.serialize())
}

fn setup() -> Setup {
    let visual = Visualtype {
        visual_id: VISUAL,
        class: VisualClass::TRUE_COLOR,
        bits_per_rgb_value: 8,
        colormap_entries: 256,
        red_mask: 0xFF_0000,
        green_mask: 0x00_FF00,
        blue_mask: 0x00_00FF,
    };
    let screen = Screen {
        root: ROOT,
        default_colormap: COLORMAP,
        white_pixel: 0xFF_FFFF,
        black_pixel: 0,
        current_input_masks: EventMask::NO_EVENT,
        width_in_pixels: 1280,
        height_in_pixels: 800,
        width_in_millimeters: 340,
        height_in_millimeters: 210,
        min_installed_maps: 1,
        max_installed_maps: 1,
        root_visual: VISUAL,
        backing_stores: BackingStore::NOT_USEFUL,
        save_unders: false,
        root_depth: 24,
        allowed_depths: vec![Depth {
            depth: 24,
            visuals: vec![visual],
        }],
    };
    let order = if cfg!(target_endian = "little") {
        ImageOrder::LSB_FIRST
    } else {
        ImageOrder::MSB_FIRST
    };
    Setup {
        status: 1,
        protocol_major_version: 11,
        protocol_minor_version: 0,
        length: 0,
        release_number: 1,
        resource_id_base: 0x20_0000,
        resource_id_mask: 0x1F_FFFF,
        motion_buffer_size: 0,
        maximum_request_length: u16::MAX,
        image_byte_order: order,
        bitmap_format_bit_order: order,
        bitmap_format_scanline_unit: 32,
        bitmap_format_scanline_pad: 32,
        min_keycode: 8,
        max_keycode: 255,
        vendor: b"tracer".to_vec(),
        pixmap_formats: Vec::new(),
        roots: vec![screen],
    }
}

/// The reply to a request, or the error.
fn answer(request: u8, sequence: u16, pointer: Point) -> [u8; ANSWER] {
    let mut answer = [0; ANSWER];
    let mut put = |bytes: &[u8]| {
        if let Some(place) = answer.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    match request {
        QUERY_POINTER => put(&QueryPointerReply {
            same_screen: true,
            sequence,
            length: 0,
            root: ROOT,
            child: x11rb::NONE,
            root_x: pointer.x,
            root_y: pointer.y,
            win_x: pointer.x,
            win_y: pointer.y,
            mask: KeyButMask::default(),
        }
        .serialize()),
        GET_INPUT_FOCUS => put(&GetInputFocusReply {
            revert_to: InputFocus::NONE,
            sequence,
            length: 0,
            focus: ROOT,
        }
        .serialize()),
        QUERY_EXTENSION => put(&QueryExtensionReply {
            sequence,
            length: 0,
            present: false,
            major_opcode: 0,
            first_event: 0,
            first_error: 0,
        }
        .serialize()),
        _ => {
            let [low, high] = sequence.to_ne_bytes();
            put(&[0, BAD_REQUEST, low, high, 0, 0, 0, 0, 0, 0, request]);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use x11rb::connection::{Connection, RequestConnection};
    use x11rb::protocol::xproto::ConnectionExt;

    use super::*;

    #[test]
    fn client_sees_the_pointer_where_it_was_set() {
        let server = PointerServer::start().expect("a display is free");
        let name = format!(":{}", server.number());
        let (client, screen) = x11rb::connect(Some(&name)).expect("it takes clients");
        let root = client.setup().roots[screen].root;
        let place = || {
            let asked = client.query_pointer(root).expect("it is sent");
            let reply = asked.reply().expect("it is answered");
            (reply.root_x, reply.root_y)
        };
        assert_eq!(place(), (0, 0));
        *server.pointer().lock().expect("nobody panicked") = Point { x: -3, y: 799 };
        assert_eq!(place(), (-3, 799));
    }

    #[test]
    fn unknown_requests_get_an_error_and_the_client_stays() {
        let server = PointerServer::start().expect("a display is free");
        let name = format!(":{}", server.number());
        let (client, screen) = x11rb::connect(Some(&name)).expect("it takes clients");
        let root = client.setup().roots[screen].root;
        assert!(
            client
                .list_properties(root)
                .expect("it is sent")
                .reply()
                .is_err()
        );
        assert!(
            client
                .extension_information("XTEST")
                .expect("it is sent")
                .is_none()
        );
        let pointer = client.query_pointer(root).expect("it is sent").reply();
        assert!(pointer.is_ok_and(|reply| reply.same_screen));
    }

    #[test]
    fn servers_take_displays_of_their_own() {
        let servers = [PointerServer::start(), PointerServer::start()];
        let [first, second] = servers.map(|server| server.expect("a display is free"));
        assert_ne!(first.number(), second.number());
    }
}
