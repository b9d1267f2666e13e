//! The file of an interpreter, at its place in a process.

use std::path::PathBuf;

use super::Refusal;
use super::image::InterpreterImage;
use crate::interpreter::PyVersion;
use crate::memory::{Numbers as _, TargetMemory};

/// The parts of an interpreter that its file tells.
pub(super) struct LoadedInterpreter {
    pub(super) path: PathBuf,
    pub(super) bias: u64,
    pub(super) image: InterpreterImage,
}

impl LoadedInterpreter {
    pub(super) fn address(&self, symbol: &str) -> Option<u64> {
        let symbol = self.image.symbol(symbol)?;
        Some(symbol.address.wrapping_add(self.bias))
    }

    pub(super) fn required(&self, symbol: &'static str) -> Result<u64, Refusal> {
        self.address(symbol).ok_or_else(|| Refusal::NoSymbol {
            path: self.path.clone(),
            symbol,
        })
    }

    /// The version: the variable `Py_Version` or, before 3.11, the file's name.
    pub(super) fn version(&self, memory: &dyn TargetMemory) -> Result<PyVersion, Refusal> {
        if let Some(address) = self.address("Py_Version") {
            let [_, micro, minor, major] = memory.array::<4>(address)?;
            let version = PyVersion {
                minor,
                micro: Some(micro),
            };
            return match major {
                3 => Ok(version),
                _ => Err(Refusal::UnknownVersion { version }),
            };
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.split("python3.").nth(1).unwrap_or_default();
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let digits = &digits[..end.unwrap_or(digits.len())];
        match digits.parse() {
            Ok(minor) => Ok(PyVersion { minor, micro: None }),
            Err(_) => Err(Refusal::NoVersion {
                path: self.path.clone(),
            }),
        }
    }
}
