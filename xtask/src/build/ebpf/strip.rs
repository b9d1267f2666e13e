//! Removes everything from an eBPF object that its loader does not read.

use anyhow::{Context, Result, bail};
use object::build::elf::{Builder, SectionData};
use object::elf;

use super::btf;

/// The object without debug information.
///
/// Code, maps, the license, symbols, relocations, types (`.BTF`) and the functions' types
/// (`.BTF.ext`) stay. The result depends only on these.
///
/// # Errors
/// The file is not an ELF file, or its BTF is damaged.
pub(super) fn strip(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("the object is no ELF file")?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        if name.starts_with(b".debug_") || name.starts_with(b".rel.debug_") {
            section.delete = true;
        }
    }
    leave_lines_out(&mut builder)?;
    builder.delete_orphans();
    // LLVM stores the names of sections and symbols in one table, the writer in two.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .context("the stripped object cannot be written")?;
    Ok(stripped)
}

fn leave_lines_out(builder: &mut Builder<'_>) -> Result<()> {
    let data = |name: &[u8]| {
        let section = builder
            .sections
            .iter()
            .find(|section| section.name.as_slice() == name);
        match section.map(|section| &section.data) {
            Some(SectionData::Data(data)) => Ok(data.to_vec()),
            _ => bail!("the object has no {}", String::from_utf8_lossy(name)),
        }
    };
    let stripped = btf::without_lines(&data(b".BTF")?, &data(b".BTF.ext")?)?;
    for section in &mut builder.sections {
        match (section.name.as_slice(), &mut section.data) {
            (b".BTF", data) => *data = SectionData::Data(stripped.btf.clone().into()),
            (b".BTF.ext", data) => *data = SectionData::Data(stripped.ext.clone().into()),
            (b".rel.BTF.ext", SectionData::Relocation(relocations)) => {
                relocations.retain(|relocation| relocation.r_offset < stripped.kept as u64);
            }
            _ => {}
        }
    }
    Ok(())
}
