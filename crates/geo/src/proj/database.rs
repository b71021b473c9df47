//! PROJ's database, compiled into the program and read where it lies.
//!
//! PROJ opens `proj.db` through SQLite, and SQLite reads files through a VFS.
//! Ours knows one file, a constant of the program: nothing is unpacked, so it
//! works with no home folder, on a read-only disk and after `cargo clean`, and
//! no stale `proj.db` of the user's (`PROJ_DATA`) can get in the way. PROJ has
//! the same device behind its CMake option `EMBED_RESOURCE_FILES`, which
//! proj-sys does not let us set.
//!
//! # Source
//! SQLite, "The OS backend (VFS) to SQLite" and `ext/misc/memvfs.c`.

use libsqlite3_sys as sqlite;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

static PROJ_DB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/proj.db"));

/// Name under which the VFS is registered with SQLite.
pub(super) const VFS_NAME: &CStr = c"datacube-proj-db";

/// The one file of the VFS.
pub(super) const FILE_NAME: &CStr = c"proj.db";

/// Registers the VFS, once in the life of the process.
pub(super) fn register() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        // SAFETY: called without SQLite locks held; SQLite initialises itself.
        // The default VFS is never unregistered by this program.
        let base = unsafe { sqlite::sqlite3_vfs_find(std::ptr::null()) };
        if base.is_null() {
            return Err("SQLite has no default VFS".to_owned());
        }
        // SAFETY: `base` points to a registered VFS (checked above).
        let base_ref = unsafe { &*base };
        let own = size_of::<DbFile>();
        let size = base_ref
            .szOsFile
            .max(c_int::try_from(own).expect("a struct of two words"));
        let vfs = Box::leak(Box::new(sqlite::sqlite3_vfs {
            iVersion: 1,
            szOsFile: size,
            mxPathname: 256,
            pNext: std::ptr::null_mut(),
            zName: VFS_NAME.as_ptr(),
            pAppData: base.cast::<c_void>(),
            xOpen: Some(vfs_open),
            xDelete: Some(vfs_delete),
            xAccess: Some(vfs_access),
            xFullPathname: Some(vfs_full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(vfs_randomness),
            xSleep: Some(vfs_sleep),
            xCurrentTime: Some(vfs_current_time),
            xGetLastError: Some(vfs_get_last_error),
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: `vfs` lives as long as the process (leaked above).
        let rc = unsafe { sqlite::sqlite3_vfs_register(vfs, 0) };
        if rc == sqlite::SQLITE_OK {
            Ok(())
        } else {
            Err(format!(
                "SQLite refused the VFS of the embedded proj.db (code {rc})"
            ))
        }
    })
    .clone()
}

/// SQLite's file object for the database: the methods and nothing more, since
/// the content is a constant.
#[repr(C)]
struct DbFile {
    base: sqlite::sqlite3_file,
}

static METHODS: sqlite::sqlite3_io_methods = sqlite::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(file_close),
    xRead: Some(file_read),
    xWrite: Some(file_write),
    xTruncate: Some(file_truncate),
    xSync: Some(file_sync),
    xFileSize: Some(file_size),
    xLock: Some(file_lock),
    xUnlock: Some(file_lock),
    xCheckReservedLock: Some(file_check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(file_sector_size),
    xDeviceCharacteristics: Some(file_device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn vfs_open(
    vfs: *mut sqlite::sqlite3_vfs,
    name: sqlite::sqlite3_filename,
    file: *mut sqlite::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    if flags & sqlite::SQLITE_OPEN_MAIN_DB == 0 {
        // A temporary file of a large sort: the system's VFS makes it.
        // SAFETY: `file` has room for the base VFS's file (szOsFile is the
        // larger of both) and `base` is a registered VFS.
        return unsafe {
            let base = (*vfs).pAppData.cast::<sqlite::sqlite3_vfs>();
            match (*base).xOpen {
                Some(open) => open(base, name, file, flags, out_flags),
                None => sqlite::SQLITE_CANTOPEN,
            }
        };
    }
    // SAFETY: SQLite hands out szOsFile bytes at `file`, and `out_flags` is
    // null or valid.
    unsafe {
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    sqlite::SQLITE_OK
}

unsafe extern "C" fn vfs_delete(_: *mut sqlite::sqlite3_vfs, _: *const c_char, _: c_int) -> c_int {
    sqlite::SQLITE_IOERR_DELETE
}

unsafe extern "C" fn vfs_access(
    _: *mut sqlite::sqlite3_vfs,
    _: *const c_char,
    _: c_int,
    result: *mut c_int,
) -> c_int {
    // Asked for journals and logs only; there are none.
    // SAFETY: SQLite passes a valid pointer.
    unsafe { *result = 0 };
    sqlite::SQLITE_OK
}

unsafe extern "C" fn vfs_full_pathname(
    _: *mut sqlite::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `name` is a C string and `out` has `room` bytes.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > usize::try_from(room).unwrap_or(0) {
            return sqlite::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast::<c_char>(), out, bytes.len());
    }
    sqlite::SQLITE_OK
}

unsafe extern "C" fn vfs_randomness(
    vfs: *mut sqlite::sqlite3_vfs,
    n: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: forwards SQLite's own arguments to the VFS below.
    unsafe {
        let base = (*vfs).pAppData.cast::<sqlite::sqlite3_vfs>();
        (*base).xRandomness.map_or(0, |f| f(base, n, out))
    }
}

unsafe extern "C" fn vfs_sleep(vfs: *mut sqlite::sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: forwards SQLite's own arguments to the VFS below.
    unsafe {
        let base = (*vfs).pAppData.cast::<sqlite::sqlite3_vfs>();
        (*base).xSleep.map_or(0, |f| f(base, microseconds))
    }
}

unsafe extern "C" fn vfs_current_time(vfs: *mut sqlite::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: forwards SQLite's own arguments to the VFS below.
    unsafe {
        let base = (*vfs).pAppData.cast::<sqlite::sqlite3_vfs>();
        (*base)
            .xCurrentTime
            .map_or(sqlite::SQLITE_ERROR, |f| f(base, out))
    }
}

unsafe extern "C" fn vfs_get_last_error(
    _: *mut sqlite::sqlite3_vfs,
    _: c_int,
    _: *mut c_char,
) -> c_int {
    0
}

unsafe extern "C" fn file_close(_: *mut sqlite::sqlite3_file) -> c_int {
    sqlite::SQLITE_OK
}

unsafe extern "C" fn file_read(
    _: *mut sqlite::sqlite3_file,
    out: *mut c_void,
    amount: c_int,
    offset: sqlite::sqlite3_int64,
) -> c_int {
    let (Ok(amount), Ok(offset)) = (usize::try_from(amount), usize::try_from(offset)) else {
        return sqlite::SQLITE_IOERR_READ;
    };
    let have = PROJ_DB.get(offset..).unwrap_or_default();
    let n = have.len().min(amount);
    // SAFETY: `out` has `amount` bytes, `n <= amount`, and the constant does
    // not overlap SQLite's buffer.
    unsafe {
        let out = out.cast::<u8>();
        std::ptr::copy_nonoverlapping(have.as_ptr(), out, n);
        if n < amount {
            // SQLite wants the rest zeroed and to be told.
            std::ptr::write_bytes(out.add(n), 0, amount - n);
            return sqlite::SQLITE_IOERR_SHORT_READ;
        }
    }
    sqlite::SQLITE_OK
}

unsafe extern "C" fn file_write(
    _: *mut sqlite::sqlite3_file,
    _: *const c_void,
    _: c_int,
    _: sqlite::sqlite3_int64,
) -> c_int {
    sqlite::SQLITE_READONLY
}

unsafe extern "C" fn file_truncate(
    _: *mut sqlite::sqlite3_file,
    _: sqlite::sqlite3_int64,
) -> c_int {
    sqlite::SQLITE_READONLY
}

unsafe extern "C" fn file_sync(_: *mut sqlite::sqlite3_file, _: c_int) -> c_int {
    sqlite::SQLITE_OK
}

unsafe extern "C" fn file_size(
    _: *mut sqlite::sqlite3_file,
    out: *mut sqlite::sqlite3_int64,
) -> c_int {
    let size = sqlite::sqlite3_int64::try_from(PROJ_DB.len()).expect("a constant of some MB");
    // SAFETY: SQLite passes a valid pointer.
    unsafe { *out = size };
    sqlite::SQLITE_OK
}

unsafe extern "C" fn file_lock(_: *mut sqlite::sqlite3_file, _: c_int) -> c_int {
    sqlite::SQLITE_OK
}

unsafe extern "C" fn file_check_reserved_lock(
    _: *mut sqlite::sqlite3_file,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a valid pointer.
    unsafe { *out = 0 };
    sqlite::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    sqlite::SQLITE_NOTFOUND
}

unsafe extern "C" fn file_sector_size(_: *mut sqlite::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn file_device_characteristics(_: *mut sqlite::sqlite3_file) -> c_int {
    sqlite::SQLITE_IOCAP_IMMUTABLE
}
