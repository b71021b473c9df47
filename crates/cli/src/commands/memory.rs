//! `--memory-limit`: one number for the whole program, shared out among what
//! takes memory.

use anyhow::{Result, bail};
use datacube::compute::{LocalCluster, MemoryLimit};
use datacube::{Datacube, LoaderOptions, RastersOptions};

use crate::args::LoadArgs;

/// How the memory that may be used is shared out.
pub(crate) struct Memory {
    /// Bytes of what is kept of files, and bytes for the cluster; `None` where
    /// there is no limit.
    shares: Option<(u64, u64)>,
}

impl Memory {
    /// What the program takes before it reads anything, and what the allocator
    /// does not give back at once.
    const PROGRAM: u64 = 96 << 20;
    /// With less there is not enough for one chunk of the usual size.
    const LEAST: u64 = 160 << 20;

    /// # Errors
    /// A limit that is none, or too small for anything.
    pub(crate) fn of(args: &LoadArgs) -> Result<Self> {
        let limit = args.memory_limit.as_deref();
        let limit: Option<MemoryLimit> = limit.map(str::parse).transpose()?;
        let Some(bytes) = limit.and_then(MemoryLimit::total_bytes) else {
            return Ok(Memory { shares: None });
        };
        if bytes < Memory::LEAST {
            bail!(
                "--memory-limit {}: {} is too little; give at least {}",
                args.memory_limit.as_deref().unwrap_or_default(),
                MemoryLimit::Bytes(bytes),
                MemoryLimit::Bytes(Memory::LEAST)
            );
        }
        let rest = bytes - Memory::PROGRAM;
        let caches = rest / 4;
        Ok(Memory {
            shares: Some((caches, rest - caches)),
        })
    }

    /// The same cube with caches that keep to their share.
    pub(crate) fn limit_caches(&self, dc: Datacube) -> Datacube {
        let Some((caches, _)) = self.shares else {
            return dc;
        };
        let options = LoaderOptions::default()
            .stores(dc.stores().clone())
            .rasters(RastersOptions::default().within(caches));
        dc.with_loader(options)
    }

    pub(crate) fn cluster(&self, args: &LoadArgs) -> Result<LocalCluster> {
        let mut builder = LocalCluster::builder();
        if let Some(workers) = args.workers {
            builder = builder.n_workers(workers).threads_per_worker(1);
        }
        if let Some((_, bytes)) = self.shares {
            builder = builder.total_memory_limit(bytes)?;
        }
        Ok(builder.start()?)
    }
}
