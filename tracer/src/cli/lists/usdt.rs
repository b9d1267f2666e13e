//! The list of USDT probes.

use std::io::{self, Write};

use serde::Serialize;

use crate::base::visible::Visible;
use crate::session::FoundUsdtProbe;
use crate::sink::json::write_object;

/// Text that stands for an argument without a known type.
const UNKNOWN: &str = "?";

#[derive(Serialize)]
struct UsdtLine<'l> {
    r#type: &'static str,
    name: String,
    module: &'l str,
    arguments: Vec<String>,
    semaphore: bool,
    addresses: Vec<String>,
    own: bool,
}

/// Writes the probes: `usdt:python:gc__start  1 argument  0x4287f3  with a semaphore`.
pub(super) fn write(out: &mut impl Write, probes: &[FoundUsdtProbe], json: bool) -> io::Result<()> {
    for found in probes {
        let line = UsdtLine::from(found);
        if json {
            write_object(&mut *out, &line)?;
            continue;
        }
        write!(out, "{}", Visible(&line.name))?;
        match line.arguments.len() {
            0 => {}
            1 => write!(out, "  1 argument")?,
            count => write!(out, "  {count} arguments")?,
        }
        match line.addresses.as_slice() {
            [address] => write!(out, "  {address}")?,
            several => write!(out, "  {} places", several.len())?,
        }
        if line.semaphore {
            write!(out, "  with a semaphore")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

impl<'l> From<&'l FoundUsdtProbe> for UsdtLine<'l> {
    fn from(found: &'l FoundUsdtProbe) -> Self {
        let first = found.places.first();
        let arguments = first.into_iter().flat_map(|place| &place.arguments);
        Self {
            r#type: "usdt",
            name: first.map(|place| place.location()).unwrap_or_default(),
            module: &found.module,
            arguments: arguments
                .map(|argument| {
                    let ty = argument.ty.map(|ty| ty.to_string());
                    ty.unwrap_or_else(|| UNKNOWN.to_owned())
                })
                .collect(),
            semaphore: found.places.iter().any(|place| place.semaphore.is_some()),
            addresses: found
                .places
                .iter()
                .map(|place| place.address.to_string())
                .collect(),
            own: found.own,
        }
    }
}
