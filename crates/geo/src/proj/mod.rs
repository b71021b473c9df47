//! The only door to PROJ: one context per thread, sealed from the outside.
//!
//! A PROJ context and the objects made in it belong to one thread, so each
//! thread has its own, with a small cache of the CRSs and operations it used
//! last. Contexts read the embedded database ([`database`]) and nothing else:
//! no file of the user's, no grid, no network, no environment variable can
//! change a coordinate, and PROJ prints nothing; what it would have printed
//! goes into our errors. `proj_cleanup` is never called, since it pulls the
//! shared database from under the other threads.

mod database;

use crate::crs::Key;
use proj_sys as sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hash::Hash;
use std::ptr::NonNull;

/// CRS objects and operations that a thread keeps. An operation of two
/// projected CRSs weighs some 100 kB.
const KEEP: usize = 64;

/// A PROJ object, destroyed when dropped. Bound to its thread, as raw pointers
/// make it neither `Send` nor `Sync`.
pub(crate) struct Pj(NonNull<sys::PJ>);

impl Pj {
    pub(crate) fn new(pj: *mut sys::PJ) -> Option<Self> {
        NonNull::new(pj).map(Self)
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::PJ {
        self.0.as_ptr()
    }
}

impl Drop for Pj {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::proj_destroy(self.as_ptr()) };
    }
}

/// What one thread has of PROJ. Fields drop in order: objects before context.
pub(crate) struct Proj {
    crs: Cache<Key, Pj>,
    operations: Cache<(Key, Key), Pj>,
    context: Context,
}

struct Context {
    ctx: NonNull<sys::PJ_CONTEXT>,
    /// Where PROJ's log function writes to. Boxed, as C holds its address.
    log: Box<RefCell<String>>,
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once, after all objects made in it.
        unsafe { sys::proj_context_destroy(self.ctx.as_ptr()) };
    }
}

thread_local! {
    static PROJ: RefCell<Option<Proj>> = const { RefCell::new(None) };
}

/// Runs `f` with this thread's PROJ. `f` must not come here again.
///
/// # Errors
/// PROJ's reason when no context could be made.
pub(crate) fn with<R>(f: impl FnOnce(&mut Proj) -> R) -> Result<R, String> {
    PROJ.try_with(|cell| {
        let mut slot = cell
            .try_borrow_mut()
            .map_err(|_| "PROJ was entered twice on one thread".to_owned())?;
        let proj = match &mut *slot {
            Some(proj) => proj,
            empty => empty.insert(Proj::new()?),
        };
        Ok(f(proj))
    })
    .unwrap_or_else(|_| Err("the thread is ending".to_owned()))
}

impl Proj {
    fn new() -> Result<Self, String> {
        database::register()?;
        // SAFETY: plain constructor.
        let ctx = unsafe { sys::proj_context_create() };
        let ctx = NonNull::new(ctx).ok_or("no memory for a PROJ context")?;
        let context = Context {
            ctx,
            log: Box::default(),
        };
        let p = ctx.as_ptr();
        // SAFETY: `p` is a live context; the strings and the table of file
        // functions are constants; the log cell is boxed and outlives the
        // context, which is destroyed in the drop of the same struct.
        let opened = unsafe {
            sys::proj_log_func(
                p,
                (&raw const *context.log).cast_mut().cast::<c_void>(),
                Some(on_log),
            );
            sys::proj_log_level(p, sys::PJ_LOG_LEVEL_PJ_LOG_ERROR);
            // Before anything else: the next call would read a proj.ini.
            sys::proj_context_set_fileapi(p, &raw const NO_FILES, std::ptr::null_mut());
            sys::proj_context_set_enable_network(p, 0);
            // "+init=epsg:32655", as old documents have it.
            sys::proj_context_use_proj4_init_rules(p, 1);
            sys::proj_context_set_sqlite3_vfs_name(p, database::VFS_NAME.as_ptr());
            sys::proj_context_set_database_path(
                p,
                database::FILE_NAME.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
            )
        };
        let proj = Self {
            crs: Cache::default(),
            operations: Cache::default(),
            context,
        };
        if opened == 0 {
            return Err(proj.take_message("the embedded proj.db could not be opened"));
        }
        Ok(proj)
    }

    pub(crate) fn ctx(&self) -> *mut sys::PJ_CONTEXT {
        self.context.ctx.as_ptr()
    }

    /// Forgets what PROJ said so far, so that the next message is the next
    /// failure's.
    pub(crate) fn clear_message(&self) {
        self.context.log.borrow_mut().clear();
    }

    /// What PROJ said last, else the text of its error number, else `fallback`.
    pub(crate) fn take_message(&self, fallback: &str) -> String {
        let logged = std::mem::take(&mut *self.context.log.borrow_mut());
        if !logged.is_empty() {
            return logged;
        }
        // SAFETY: live context; the returned string lives until the next call.
        unsafe {
            let code = sys::proj_context_errno(self.ctx());
            if code == 0 {
                return fallback.to_owned();
            }
            text(sys::proj_context_errno_string(self.ctx(), code))
                .unwrap_or_else(|| fallback.to_owned())
        }
    }

    /// A new object from any text that PROJ reads.
    pub(crate) fn create(&self, definition: &str) -> Result<Pj, String> {
        let definition =
            CString::new(definition).map_err(|_| "the text has a zero byte".to_owned())?;
        self.clear_message();
        // SAFETY: live context and C string.
        let pj = unsafe { sys::proj_create(self.ctx(), definition.as_ptr()) };
        Pj::new(pj).ok_or_else(|| self.take_message("PROJ does not know it"))
    }

    /// This thread's object of the CRS with that key, made from
    /// `definition` when it is not at hand. The pointer is good until the next
    /// call of `crs` or `operation`.
    pub(crate) fn crs(&mut self, key: Key, definition: &str) -> Result<*const sys::PJ, String> {
        if let Some(pj) = self.crs.get(&key) {
            return Ok(pj.as_ptr());
        }
        let pj = self.create(definition)?;
        Ok(self.crs.insert(key, pj).as_ptr())
    }

    /// This thread's operation between two CRSs, each given as (key,
    /// definition), in x, y order on both sides.
    pub(crate) fn operation(
        &mut self,
        from: (Key, &str),
        to: (Key, &str),
    ) -> Result<*mut sys::PJ, String> {
        let key = (from.0, to.0);
        if let Some(pj) = self.operations.get(&key) {
            return Ok(pj.as_ptr());
        }
        let source = self.create(from.1)?;
        let target = self.create(to.1)?;
        self.clear_message();
        // Spelled out, so that PROJ_ONLY_BEST_DEFAULT has no say.
        let options = [c"ONLY_BEST=NO".as_ptr(), std::ptr::null()];
        // SAFETY: live context and objects; the option list ends in null.
        let made = unsafe {
            let raw = Pj::new(sys::proj_create_crs_to_crs_from_pj(
                self.ctx(),
                source.as_ptr(),
                target.as_ptr(),
                std::ptr::null_mut(),
                options.as_ptr(),
            ));
            raw.and_then(|raw| {
                Pj::new(sys::proj_normalize_for_visualization(
                    self.ctx(),
                    raw.as_ptr(),
                ))
            })
        };
        let pj = made.ok_or_else(|| self.take_message("PROJ finds no operation between them"))?;
        Ok(self.operations.insert(key, pj).as_ptr())
    }

    /// Maps points in place with `operation`; those that fail become NaN.
    pub(crate) fn transform(&self, operation: *mut sys::PJ, xs: &mut [f64], ys: &mut [f64]) {
        let n = xs.len().min(ys.len());
        let stride = size_of::<f64>();
        let none = std::ptr::null_mut();
        // SAFETY: `operation` comes from this thread's cache (`operation`
        // above) and is not evicted before the end of this call; both slices
        // have `n` values at a stride of one f64; null with a count of zero is
        // PROJ's way to leave z and t out. Failures of single points are not
        // logged: there may be millions.
        unsafe {
            sys::proj_log_level(self.ctx(), sys::PJ_LOG_LEVEL_PJ_LOG_NONE);
            sys::proj_trans_generic(
                operation,
                sys::PJ_DIRECTION_PJ_FWD,
                xs.as_mut_ptr(),
                stride,
                n,
                ys.as_mut_ptr(),
                stride,
                n,
                none,
                0,
                0,
                none,
                0,
                0,
            );
            sys::proj_errno_reset(operation);
            sys::proj_log_level(self.ctx(), sys::PJ_LOG_LEVEL_PJ_LOG_ERROR);
        }
        for (x, y) in xs.iter_mut().zip(ys.iter_mut()) {
            if !(x.is_finite() && y.is_finite()) {
                *x = f64::NAN;
                *y = f64::NAN;
            }
        }
    }
}

/// The text of a C string that PROJ owns; `None` for null.
///
/// # Safety
/// `p` is null or a C string that lives during the call.
pub(crate) unsafe fn text(p: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned())
}

/// Keeps the [`KEEP`] values used last.
struct Cache<K, V> {
    entries: HashMap<K, (u64, V)>,
    clock: u64,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            clock: 0,
        }
    }
}

impl<K: Hash + Eq + Copy, V> Cache<K, V> {
    fn get(&mut self, key: &K) -> Option<&V> {
        self.clock += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) -> &V {
        if self.entries.len() >= KEEP {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(k, _)| *k) {
                self.entries.remove(&oldest);
            }
        }
        self.clock += 1;
        let slot = self.entries.entry(key).insert_entry((self.clock, value));
        &slot.into_mut().1
    }
}

/// Appends PROJ's message to the cell of the context.
unsafe extern "C" fn on_log(cell: *mut c_void, _level: c_int, message: *const c_char) {
    // SAFETY: `cell` is the boxed log of a live context (see `Proj::new`), and
    // PROJ calls only on the thread that called it.
    let (cell, message) = unsafe { (&*cell.cast::<RefCell<String>>(), text(message)) };
    let (Ok(mut log), Some(message)) = (cell.try_borrow_mut(), message) else {
        return;
    };
    let message = message.trim();
    if !log.is_empty() {
        log.push_str("; ");
    }
    log.push_str(message);
}

/// A file system without files: see the head of this module.
static NO_FILES: sys::PROJ_FILE_API = sys::PROJ_FILE_API {
    version: 1,
    open_cbk: Some(no_open),
    read_cbk: Some(no_read),
    write_cbk: Some(no_write),
    seek_cbk: Some(no_seek),
    tell_cbk: Some(no_tell),
    close_cbk: Some(no_close),
    exists_cbk: Some(no_path),
    mkdir_cbk: Some(no_path),
    unlink_cbk: Some(no_path),
    rename_cbk: Some(no_rename),
};

unsafe extern "C" fn no_open(
    _: *mut sys::PJ_CONTEXT,
    _: *const c_char,
    _: sys::PROJ_OPEN_ACCESS,
    _: *mut c_void,
) -> *mut sys::PROJ_FILE_HANDLE {
    std::ptr::null_mut()
}

unsafe extern "C" fn no_read(
    _: *mut sys::PJ_CONTEXT,
    _: *mut sys::PROJ_FILE_HANDLE,
    _: *mut c_void,
    _: usize,
    _: *mut c_void,
) -> usize {
    0
}

unsafe extern "C" fn no_write(
    _: *mut sys::PJ_CONTEXT,
    _: *mut sys::PROJ_FILE_HANDLE,
    _: *const c_void,
    _: usize,
    _: *mut c_void,
) -> usize {
    0
}

unsafe extern "C" fn no_seek(
    _: *mut sys::PJ_CONTEXT,
    _: *mut sys::PROJ_FILE_HANDLE,
    _: std::ffi::c_longlong,
    _: c_int,
    _: *mut c_void,
) -> c_int {
    0
}

unsafe extern "C" fn no_tell(
    _: *mut sys::PJ_CONTEXT,
    _: *mut sys::PROJ_FILE_HANDLE,
    _: *mut c_void,
) -> std::ffi::c_ulonglong {
    0
}

unsafe extern "C" fn no_close(
    _: *mut sys::PJ_CONTEXT,
    _: *mut sys::PROJ_FILE_HANDLE,
    _: *mut c_void,
) {
}

unsafe extern "C" fn no_path(_: *mut sys::PJ_CONTEXT, _: *const c_char, _: *mut c_void) -> c_int {
    0
}

unsafe extern "C" fn no_rename(
    _: *mut sys::PJ_CONTEXT,
    _: *const c_char,
    _: *const c_char,
    _: *mut c_void,
) -> c_int {
    0
}
