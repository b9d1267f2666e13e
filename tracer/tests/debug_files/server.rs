//! Tests debuginfod with a server on this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tracer::debuginfo::Servers;
use tracer::session::Catalog;

use super::*;

/// Answers of the server.
#[derive(Clone)]
enum Answer {
    /// Sends these bytes.
    File(Vec<u8>),
    /// Reports that the file does not exist.
    NotFound,
    /// Sends nothing, and keeps the connection.
    Silence,
    /// Starts to send, and never ends.
    Endless,
}

struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    /// First lines of requests.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves until the test ends. Its thread waits in `accept`.
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self {
            url,
            asked: Arc::clone(&asked),
            requests: Arc::clone(&requests),
        };
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::SeqCst);
                let mut reader = BufReader::new(stream.try_clone().expect("stream"));
                let mut line = String::new();
                reader.read_line(&mut line).expect("request");
                requests.lock().expect("requests").push(line);
                kept.push(respond(stream, &answer));
            }
        });
        server
    }

    fn servers(&self, cache: &Path) -> Servers {
        Servers::new(vec![self.url.clone()], cache.to_owned())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Sends an answer. Returns the connection if it stays open.
fn respond(mut stream: TcpStream, answer: &Answer) -> Option<TcpStream> {
    let ok = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    // The client may leave before everything is sent.
    let _ = match answer {
        Answer::File(bytes) => stream
            .write_all(ok(bytes.len()).as_bytes())
            .and_then(|()| stream.write_all(bytes)),
        Answer::NotFound => {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        }
        Answer::Silence => return Some(stream),
        Answer::Endless => {
            let begin = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            let mut sent = stream.write_all(begin);
            while sent.is_ok() {
                sent = stream.write_all(&[0; 4096]);
            }
            sent
        }
    };
    None
}

fn stripped() -> Bench {
    let bench = Bench::new();
    bench.run(
        "gcc -g -O1 -w -Wl,--build-id -o whole $FIXTURES/variables/c_types.c
         objcopy --only-keep-debug whole file; objcopy --strip-all whole app",
    );
    bench
}

fn asking(servers: Servers) -> DebugOptions {
    DebugOptions {
        debuginfod: Some(servers),
        ..DebugOptions::default()
    }
}

#[test]
fn file_of_a_server_is_used_and_kept() {
    let bench = stripped();
    let whole = bench.module("whole");
    let server = Server::start(Answer::File(fs::read(bench.path("file")).expect("file")));
    let options = asking(server.servers(&bench.path("cache")));
    let module = bench.module_with("app", &options).expect("opens");
    assert_same(&module, &whole);
    let id: String = whole
        .build_id()
        .expect("id")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let requests = server.requests.lock().expect("requests").clone();
    assert_eq!(
        requests,
        [format!("GET /buildid/{id}/debuginfo HTTP/1.1\r\n")]
    );
    assert_same(&bench.module_with("app", &options).expect("opens"), &whole);
    assert_eq!(server.asked(), 1);
    let kept: Vec<_> = fs::read_dir(bench.path("cache").join(id))
        .expect("cache")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(kept, ["debuginfo"]);
}

#[test]
fn file_that_no_server_has_is_asked_for_once() {
    let bench = stripped();
    let server = Server::start(Answer::NotFound);
    let options = asking(server.servers(&bench.path("cache")));
    for _ in 0..2 {
        assert!(
            bench
                .module_with("app", &options)
                .expect("opens")
                .is_stripped()
        );
    }
    assert_eq!(server.asked(), 1);
}

#[test]
fn file_of_another_build_or_no_elf_is_refused_and_not_kept() {
    let bench = stripped();
    bench.run("gcc -g -O2 -w -Wl,--build-id -o other $FIXTURES/variables/c_types.c");
    let other = fs::read(bench.path("other")).expect("file");
    for bytes in [other, b"<html>login</html>".to_vec()] {
        let server = Server::start(Answer::File(bytes));
        let options = asking(server.servers(&bench.path("cache")));
        let module = bench.module_with("app", &options).expect("opens");
        assert!(module.is_stripped());
        assert_eq!(refused(&module).len(), 1, "{:?}", module.looked());
        assert_eq!(server.asked(), 1);
    }
}

#[test]
fn server_that_is_silent_endless_or_gone_costs_its_limit_only() {
    let bench = stripped();
    let gone = TcpListener::bind("127.0.0.1:0").expect("port");
    let gone = format!("http://{}", gone.local_addr().expect("address"));
    let silent = Server::start(Answer::Silence);
    let endless = Server::start(Answer::Endless);
    let began = Instant::now();
    for url in [&gone, &silent.url, &endless.url] {
        let servers = Servers {
            answer_time: Duration::from_millis(300),
            file_bytes: 1 << 20,
            ..Servers::new(vec![url.clone()], bench.path("cache"))
        };
        let module = bench.module_with("app", &asking(servers)).expect("opens");
        assert!(module.is_stripped());
        assert_eq!(refused(&module).len(), 1, "{:?}", module.looked());
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn source_that_is_not_here_is_a_servers_and_is_kept() {
    let bench = Bench::new();
    bench.run(
        "gcc -g -O1 -w -Wl,--build-id -ffile-prefix-map=$FIXTURES=/build/away -o app \
         $FIXTURES/variables/c_types.c",
    );
    let text = "int from_the_server;\n";
    let server = Server::start(Answer::File(text.into()));
    let options = asking(server.servers(&bench.path("cache")));
    let catalog = Catalog::of_file(&bench.path("app"), &options).expect("opens");
    let file = catalog.find_file("c_types.c").expect("a source");
    assert!(!file.on_disk);
    for _ in 0..2 {
        let found = catalog
            .source_text(&file)
            .expect("an answer")
            .expect("a source");
        assert_eq!(found.text, text);
    }
    let requests = server.requests.lock().expect("requests").clone();
    let [request] = &requests[..] else {
        panic!("{requests:?}");
    };
    let end = "/source/build/away/variables/c_types.c HTTP/1.1\r\n";
    assert!(request.ends_with(end), "{request}");
}

#[test]
fn source_that_is_no_text_is_refused_with_the_reason() {
    let bench = Bench::new();
    bench.run(
        "gcc -g -O1 -w -Wl,--build-id -ffile-prefix-map=$FIXTURES=/build/away -o app \
         $FIXTURES/variables/c_types.c",
    );
    let server = Server::start(Answer::File(b"int a;\0".to_vec()));
    let options = asking(server.servers(&bench.path("cache")));
    let catalog = Catalog::of_file(&bench.path("app"), &options).expect("opens");
    let file = catalog.find_file("c_types.c").expect("a source");
    let error = catalog.source_text(&file).expect_err("no text");
    let hint = error.hint.expect("a hint");
    assert!(hint.contains("it is not text"), "{hint}");
}
