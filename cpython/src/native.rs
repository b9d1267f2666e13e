//! The types that the interpreter itself defines, and those of its C modules.

/// Defines [`Native`] with the symbols and the names of its types.
macro_rules! natives {
    (symbols { $($(#[$doc:meta])* $variant:ident = $symbol:literal,)* }
     names { $($(#[$named_doc:meta])* $named:ident = $name:literal,)* }) => {
        /// A type whose objects have a layout that this crate knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Native {
            $($(#[$doc])* $variant,)*
            $($(#[$named_doc])* $named,)*
            /// Any other type.
            Other,
        }

        /// Symbols of type objects.
        pub(crate) const SYMBOLS: &[(&str, Native)] = &[$(($symbol, Native::$variant),)*];

        /// Types of C modules by `tp_name`, which has the module in it. A class that Python code
        /// defines has no dot there.
        pub(crate) const NAMES: &[(&str, Native)] = &[$(($name, Native::$named),)*];
    };
}

natives! {
    symbols {
        /// `object`.
        Object = "PyBaseObject_Type",
        /// `type`.
        Type = "PyType_Type",
        /// `int`.
        Int = "PyLong_Type",
        /// `bool`.
        Bool = "PyBool_Type",
        /// `float`.
        Float = "PyFloat_Type",
        /// `complex`.
        Complex = "PyComplex_Type",
        /// `str`.
        Str = "PyUnicode_Type",
        /// `bytes`.
        Bytes = "PyBytes_Type",
        /// `bytearray`.
        ByteArray = "PyByteArray_Type",
        /// `memoryview`.
        MemoryView = "PyMemoryView_Type",
        /// `list`.
        List = "PyList_Type",
        /// `tuple`.
        Tuple = "PyTuple_Type",
        /// `dict`.
        Dict = "PyDict_Type",
        /// `collections.OrderedDict`.
        OrderedDict = "PyODict_Type",
        /// The result of `dict.keys()`.
        DictKeys = "PyDictKeys_Type",
        /// The result of `dict.values()`.
        DictValues = "PyDictValues_Type",
        /// The result of `dict.items()`.
        DictItems = "PyDictItems_Type",
        /// `types.MappingProxyType`.
        MappingProxy = "PyDictProxy_Type",
        /// `set`.
        Set = "PySet_Type",
        /// `frozenset`.
        FrozenSet = "PyFrozenSet_Type",
        /// `range`.
        Range = "PyRange_Type",
        /// `slice`.
        Slice = "PySlice_Type",
        /// A function of Python code.
        Function = "PyFunction_Type",
        /// A function or bound method in C.
        Builtin = "PyCFunction_Type",
        /// A bound method of Python code.
        Method = "PyMethod_Type",
        /// A module.
        Module = "PyModule_Type",
        /// A code object.
        Code = "PyCode_Type",
        /// `property`.
        Property = "PyProperty_Type",
        /// `staticmethod`.
        StaticMethod = "PyStaticMethod_Type",
        /// `classmethod`.
        ClassMethod = "PyClassMethod_Type",
        /// A variable that functions share.
        Cell = "PyCell_Type",
        /// An attribute at an offset: a slot.
        MemberDescriptor = "PyMemberDescr_Type",
        /// An attribute that C code computes.
        GetSetDescriptor = "PyGetSetDescr_Type",
        /// A method in C.
        MethodDescriptor = "PyMethodDescr_Type",
        /// A special method in C.
        WrapperDescriptor = "PyWrapperDescr_Type",
        /// A generator.
        Generator = "PyGen_Type",
        /// A coroutine.
        Coroutine = "PyCoro_Type",
        /// An asynchronous generator.
        AsyncGenerator = "PyAsyncGen_Type",
    }
    names {
        /// `collections.deque`.
        Deque = "collections.deque",
        /// `collections.defaultdict`.
        DefaultDict = "collections.defaultdict",
        /// `decimal.Decimal`.
        Decimal = "decimal.Decimal",
        /// `datetime.datetime`.
        DateTime = "datetime.datetime",
        /// `datetime.date`.
        Date = "datetime.date",
        /// `datetime.time`.
        Time = "datetime.time",
        /// `datetime.timedelta`.
        TimeDelta = "datetime.timedelta",
        /// `datetime.timezone`.
        TimeZone = "datetime.timezone",
        /// `zoneinfo.ZoneInfo`.
        ZoneInfo = "zoneinfo.ZoneInfo",
        /// `array.array`.
        Array = "array.array",
        /// `numpy.ndarray`.
        NdArray = "numpy.ndarray",
    }
}

/// An object that exists once, such as `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Singleton {
    /// `None`.
    None,
    /// `...`.
    Ellipsis,
    /// `NotImplemented`.
    NotImplemented,
    /// `True`.
    True,
    /// `False`.
    False,
}

/// Symbols of the objects that exist once.
pub(crate) const SINGLETONS: &[(&str, Singleton)] = &[
    ("_Py_NoneStruct", Singleton::None),
    ("_Py_EllipsisObject", Singleton::Ellipsis),
    ("_Py_NotImplementedStruct", Singleton::NotImplemented),
    ("_Py_TrueStruct", Singleton::True),
    ("_Py_FalseStruct", Singleton::False),
];

/// The addresses of the interpreter's own types and of the single objects.
#[derive(Clone, Debug, Default)]
pub struct KnownObjects {
    natives: foldhash::HashMap<u64, Native>,
    singletons: foldhash::HashMap<u64, Singleton>,
}

impl KnownObjects {
    /// Looks up each symbol. Those that a version lacks are left out.
    pub fn by_symbols(mut address: impl FnMut(&str) -> Option<u64>) -> Self {
        let mut known = Self::default();
        for (symbol, native) in SYMBOLS {
            if let Some(address) = address(symbol) {
                known.natives.insert(address, *native);
            }
        }
        for (symbol, singleton) in SINGLETONS {
            if let Some(address) = address(symbol) {
                known.singletons.insert(address, *singleton);
            }
        }
        known
    }

    /// The type at this address.
    #[must_use]
    pub fn native(&self, address: u64) -> Option<Native> {
        self.natives.get(&address).copied()
    }

    /// The single object at this address.
    #[must_use]
    pub fn singleton(&self, address: u64) -> Option<Singleton> {
        self.singletons.get(&address).copied()
    }

    /// The address of a type.
    #[must_use]
    pub fn address(&self, native: Native) -> Option<u64> {
        let mut all = self.natives.iter();
        all.find(|(_, known)| **known == native)
            .map(|(address, _)| *address)
    }
}
