//! Parquet: a row for each event, in typed columns.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{
    Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::columns::{Column, ColumnKind, Columns, TableCell};
use super::limits::{GROUP_BYTES, GROUP_ROWS};
use crate::event::Event;
use crate::sink::{Begin, Sink};

/// Writes events as rows. They are kept until a group of them is written.
pub(super) struct ParquetSink<W: Write + Send> {
    /// `None` after the end.
    out: Option<SerializedFileWriter<W>>,
    columns: Columns,
    kept: Vec<KeptColumn>,
    rows: usize,
    bytes: usize,
}

/// The cells of a column that are kept.
struct KeptColumn {
    cells: KeptCells,
    /// 1 for a cell, 0 for an empty one.
    levels: Vec<i16>,
}

enum KeptCells {
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Booleans(Vec<bool>),
    Texts(Vec<ByteArray>),
}

impl<W: Write + Send> ParquetSink<W> {
    pub(super) fn new(out: W, columns: Columns) -> io::Result<Self> {
        let all = columns.all();
        let fields = all.iter().map(field).collect::<Result<Vec<_>, _>>();
        let schema = Type::group_type_builder("events")
            .with_fields(fields.map_err(failed)?)
            .build()
            .map_err(failed)?;
        let level = ZstdLevel::try_new(1).map_err(failed)?;
        let version = KeyValue::new("tracer".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let properties = WriterProperties::builder()
            .set_created_by(concat!("tracer ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(level))
            .set_key_value_metadata(Some(vec![version]))
            .build();
        let out = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties));
        let kept = all.iter().map(|column| KeptColumn {
            cells: KeptCells::of(column.kind),
            levels: Vec::new(),
        });
        Ok(Self {
            out: Some(out.map_err(failed)?),
            columns,
            kept: kept.collect(),
            rows: 0,
            bytes: 0,
        })
    }

    /// Writes the rows that are kept as a group.
    fn write_group(&mut self) -> io::Result<()> {
        let Some(out) = self.out.as_mut().filter(|_| self.rows > 0) else {
            return Ok(());
        };
        self.rows = 0;
        self.bytes = 0;
        let mut group = out.next_row_group().map_err(failed)?;
        for kept in &mut self.kept {
            let Some(mut column) = group.next_column().map_err(failed)? else {
                return Err(io::Error::other("a column without a place"));
            };
            kept.write(column.untyped()).map_err(failed)?;
            column.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        Ok(())
    }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}

/// The type of a column.
fn field(column: &Column) -> Result<TypePtr, ParquetError> {
    let integer = |is_signed| LogicalType::integer(64, is_signed);
    let time = LogicalType::timestamp(true, TimeUnit::NANOS);
    let (physical, logical) = match column.kind {
        ColumnKind::Time => (PhysicalType::INT64, Some(time)),
        ColumnKind::Int64 => (PhysicalType::INT64, Some(integer(true))),
        ColumnKind::Uint64 => (PhysicalType::INT64, Some(integer(false))),
        ColumnKind::Double => (PhysicalType::DOUBLE, None),
        ColumnKind::Boolean => (PhysicalType::BOOLEAN, None),
        ColumnKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
    };
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

impl KeptCells {
    const fn of(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Time | ColumnKind::Int64 | ColumnKind::Uint64 => Self::Integers(Vec::new()),
            ColumnKind::Double => Self::Doubles(Vec::new()),
            ColumnKind::Boolean => Self::Booleans(Vec::new()),
            ColumnKind::Text | ColumnKind::Json => Self::Texts(Vec::new()),
        }
    }
}

impl KeptColumn {
    /// Keeps a cell. Returns its size in bytes, about.
    fn keep(&mut self, cell: TableCell<'_>) -> usize {
        let bytes = match (&mut self.cells, cell) {
            // An unsigned number has the bits of a signed one in the file.
            (KeptCells::Integers(kept), TableCell::Time(number) | TableCell::Uint64(number)) => {
                kept.push(number.cast_signed());
                8
            }
            (KeptCells::Integers(kept), TableCell::Int64(number)) => {
                kept.push(number);
                8
            }
            (KeptCells::Doubles(kept), TableCell::Double(number)) => {
                kept.push(number);
                8
            }
            (KeptCells::Doubles(kept), TableCell::Single(number)) => {
                kept.push(number.into());
                8
            }
            (KeptCells::Booleans(kept), TableCell::Boolean(value)) => {
                kept.push(value);
                1
            }
            (KeptCells::Texts(kept), TableCell::Text(text)) => {
                kept.push(text.into_owned().into_bytes().into());
                kept.last().map_or(0, ByteArray::len) + size_of::<ByteArray>()
            }
            (KeptCells::Texts(kept), TableCell::Json(text)) => {
                kept.push(text.into_bytes().into());
                kept.last().map_or(0, ByteArray::len) + size_of::<ByteArray>()
            }
            _ => {
                self.levels.push(0);
                return size_of::<i16>();
            }
        };
        self.levels.push(1);
        bytes + size_of::<i16>()
    }

    /// Writes the cells, and keeps none.
    fn write(&mut self, out: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = std::mem::take(&mut self.levels);
        let levels = Some(levels.as_slice());
        match (&mut self.cells, out) {
            (KeptCells::Integers(kept), ColumnWriter::Int64ColumnWriter(out)) => {
                out.write_batch(&std::mem::take(kept), levels, None)?;
            }
            (KeptCells::Doubles(kept), ColumnWriter::DoubleColumnWriter(out)) => {
                out.write_batch(&std::mem::take(kept), levels, None)?;
            }
            (KeptCells::Booleans(kept), ColumnWriter::BoolColumnWriter(out)) => {
                out.write_batch(&std::mem::take(kept), levels, None)?;
            }
            (KeptCells::Texts(kept), ColumnWriter::ByteArrayColumnWriter(out)) => {
                out.write_batch(&std::mem::take(kept), levels, None)?;
            }
            _ => return Err(ParquetError::General("a column of another type".into())),
        }
        Ok(())
    }
}

impl<W: Write + Send> Sink for ParquetSink<W> {
    fn begin(&mut self, _session: &Begin) -> io::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        let mut row = Vec::with_capacity(self.kept.len());
        self.columns.row(event, &mut row)?;
        for (kept, cell) in self.kept.iter_mut().zip(row) {
            self.bytes += kept.keep(cell);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    /// Rows wait for their group, and the file cannot be read before its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write_group()?;
        match self.out.take() {
            Some(out) => out.into_inner().map_err(failed)?.flush(),
            None => Ok(()),
        }
    }
}
