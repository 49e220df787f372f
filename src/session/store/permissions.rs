//! Who may read and write a file, as far as the system says so in modes. Elsewhere the directory's own
//! access list has to do.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// A check that went through, or why it did not.
type Checked = Result<(), &'static str>;

#[cfg(unix)]
mod imp {
    use std::fs::{self, DirBuilder, Permissions};
    use std::os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    };

    use super::{Checked, File, Metadata, OpenOptions, Path, io};

    const OTHERS: u32 = 0o077;
    const OTHERS_WRITE: u32 = 0o022;

    pub(crate) fn private(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// Whether others could write to it before.
    pub(crate) fn make_private(file: &File) -> io::Result<bool> {
        let mode = file.metadata()?.mode();
        if mode & OTHERS != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(mode & OTHERS_WRITE != 0)
    }

    pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    pub(crate) fn check_directory(path: &Path, is_own: bool) -> io::Result<Checked> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Ok(Err("its directory is none"));
        }
        let mode = metadata.mode();
        // Somebody who put a link there may share what it points to.
        let is_set_right = is_own
            && mode & OTHERS != 0
            && fs::symlink_metadata(path)?.is_dir()
            && fs::set_permissions(path, Permissions::from_mode(0o700)).is_ok();
        // That others can look into it is no harm: what is in it is private, too.
        if mode & OTHERS_WRITE != 0 && !is_set_right {
            return Ok(Err(
                "others can write to its directory: choose another, or chmod go-w it",
            ));
        }
        Ok(Ok(()))
    }

    /// Nobody else's directory: its owner could exchange the file. Our own id is that of a file that
    /// was just made.
    pub(crate) fn check_owner(made: &File, directory: &Path) -> io::Result<()> {
        let (own, owner) = (made.metadata()?.uid(), fs::metadata(directory)?.uid());
        match own == 0 || owner == own || owner == 0 {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "its directory belongs to somebody else",
            )),
        }
    }

    pub(crate) fn is_the_same(looked_at: Option<&Metadata>, opened: &File) -> io::Result<bool> {
        let opened = opened.metadata()?;
        let id = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        Ok(looked_at.is_none_or(|looked_at| id(looked_at) == id(&opened)))
    }

    pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // There are file systems that do not know how to.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{Checked, File, Metadata, OpenOptions, Path, io};

    pub(crate) fn private(_: &mut OpenOptions) {}

    pub(crate) fn make_private(_: &File) -> io::Result<bool> {
        Ok(false)
    }

    pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    pub(crate) fn check_directory(_: &Path, _: bool) -> io::Result<Checked> {
        Ok(Ok(()))
    }

    pub(crate) fn check_owner(_: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn is_the_same(_: Option<&Metadata>, _: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) use imp::{
    check_directory, check_owner, create_directory, is_the_same, make_private, private,
    sync_directory,
};
