//! Operands in assembler syntax, as the notes of USDT probes have them.

/// The place or the number that an operand of the assembler names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssemblerOperand<'t> {
    /// A number, plus the address of a symbol if there is one.
    Immediate {
        /// The symbol.
        symbol: Option<SymbolReference<'t>>,
        /// The number.
        value: i64,
    },
    /// A general register, or a part of one.
    Register {
        /// DWARF number of the whole register.
        number: u8,
        /// Number of its lowest bits that are not part of the operand.
        shift: u8,
        /// Bytes of the operand.
        size: u8,
    },
    /// A register that is not captured. The name is the assembler's.
    NotCaptured(&'t str),
    /// Memory.
    Memory(MemorySum<'t>),
}

/// Memory at the sum of these parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemorySum<'t> {
    /// The address counts from the thread pointer.
    pub of_thread: bool,
    /// Address of a symbol.
    pub symbol: Option<SymbolReference<'t>>,
    /// A constant.
    pub displacement: i64,
    /// DWARF number of a register.
    pub base: Option<u8>,
    /// A register times a constant.
    pub index: Option<ScaledIndex>,
}

/// A symbol in an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolReference<'t> {
    /// Its name.
    pub name: &'t str,
    /// The operand has the symbol's distance from the thread pointer, not its address.
    pub of_thread: bool,
}

/// A register times a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaledIndex {
    /// DWARF number of the register.
    pub register: u8,
    /// 1, 2, 4 or 8.
    pub scale: u8,
}
