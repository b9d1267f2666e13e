//! A session without a frontend, which says how long its own steps take: `cargo xtask bench`
//! times with it what many sites cost.
//!
//!     cargo run --release -p tracer --example session_times -- PID
//!
//! For a line `add PROBE` on its input it prints `added SITES MILLISECONDS`, for `remove`, which
//! takes the last probe away, `removed MILLISECONDS`.

use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};

use tracer::session::{Control, Options, ProbeError, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let pid = std::env::args().nth(1).ok_or("no PID is given")?.parse()?;
    let session = Session::attach(pid, &Options::default())?;
    let mut last = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let started = Instant::now();
        if let Some(probe) = line.strip_prefix("add ") {
            let status = session.add(probe).map_err(said)?;
            println!("added {} {}", status.sites, milliseconds(started.elapsed()));
            last = Some(status.id);
        } else if line == "remove" {
            let probe = last.take().ok_or("there is no probe")?;
            session.remove(probe);
            println!("removed {}", milliseconds(started.elapsed()));
        } else {
            return Err(format!("`{line}` is no command").into());
        }
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn said(error: ProbeError) -> String {
    error.message
}
