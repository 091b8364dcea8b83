//! Where blocks are: an object store, and for a local one the care that its files are on disk.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use nightjar_model::{Error, Result};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use prost::bytes::Bytes;

use crate::block::read::{FieldKinds, field_kinds, metric_windows};
use crate::block::{BlockMeta, MetricWindows, schema};
use crate::directory;
use crate::error::EngineError;

/// Footers kept in memory, the most recently used, take at most about this.
const FOOTER_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    root: PathBuf,
    footers: Mutex<Footers>,
    /// Bytes of blocks that were written since the start.
    written: AtomicU64,
}

/// What a block says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Footer {
    pub(crate) arrow: ArrowReaderMetadata,
    pub(crate) kinds: Arc<FieldKinds>,
    /// Of each metric, where the block says so.
    pub(crate) windows: Option<Arc<[MetricWindows]>>,
}

#[derive(Debug)]
struct Kept {
    footer: Footer,
    used: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Footers {
    known: HashMap<u64, Kept>,
    clock: u64,
    bytes: usize,
}

impl Storage {
    /// Blocks in a local directory.
    pub(crate) fn local(root: &Path) -> Result<Self, EngineError> {
        directory::make(root)?;
        let store = LocalFileSystem::new_with_prefix(root)
            .map_err(|error| EngineError::Block { path: root.display().to_string(), reason: error.to_string() })?;
        Ok(Self {
            store: Arc::new(store),
            root: root.to_owned(),
            footers: Mutex::default(),
            written: AtomicU64::new(0),
        })
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
        metrics::counter!("nightjar_engine_block_bytes_written_total").increment(bytes);
    }

    #[cfg(test)]
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn writer(&self, id: u64) -> BufWriter {
        BufWriter::new(Arc::clone(&self.store), name(id))
    }

    /// Returns once what was written under `name` survives a power failure.
    pub(crate) async fn make_durable(&self, name: &object_store::path::Path) -> Result<()> {
        let (root, path) = (self.root.clone(), self.root.join(name.as_ref()));
        let synced = tokio::task::spawn_blocking(move || {
            File::open(&path).and_then(|file| file.sync_all()).map_err(EngineError::io("sync", path))?;
            File::open(&root).and_then(|dir| dir.sync_all()).map_err(EngineError::io("sync", root))
        });
        Ok(synced.await.map_err(|error| Error::internal(error.to_string()))??)
    }

    pub(crate) async fn delete(&self, id: u64) -> Result<()> {
        self.footers.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        match self.store.delete(&name(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Deletes blocks that no manifest names, and checks that those it names are there. What the engine did
    /// not write is left alone: the directory may be a mount's root, or somebody keeps a copy in it.
    pub(crate) fn reconcile(&self, blocks: &[BlockMeta]) -> Result<(), EngineError> {
        let mut named: HashMap<PathBuf, &BlockMeta> =
            blocks.iter().map(|block| (self.root.join(name(block.id).as_ref()), block)).collect();
        for entry in std::fs::read_dir(&self.root).map_err(EngineError::io("list", &self.root))? {
            let path = entry.map_err(EngineError::io("list", &self.root))?.path();
            let Some(block) = named.remove(&path) else {
                if !is_ours(&path) {
                    tracing::warn!(file = %path.display(), "left alone: this is no block; keep it elsewhere");
                    continue;
                }
                tracing::info!(file = %path.display(), "deleting a block that was not finished or not deleted before");
                std::fs::remove_file(&path).map_err(EngineError::io("delete", &path))?;
                continue;
            };
            let bytes = std::fs::metadata(&path).map_err(EngineError::io("look at", &path))?.len();
            if bytes != block.bytes {
                let reason = format!("it has {bytes} bytes and was written with {}", block.bytes);
                return Err(EngineError::Block { path: path.display().to_string(), reason });
            }
        }
        match named.into_keys().min() {
            Some(path) => {
                let reason = "it is missing: restore it from a backup".to_owned();
                Err(EngineError::Block { path: path.display().to_string(), reason })
            }
            None => Ok(()),
        }
    }

    pub(crate) fn reader(&self, block: &BlockMeta) -> BlockFile {
        BlockFile { store: Arc::clone(&self.store), path: name(block.id), bytes: block.bytes }
    }

    pub(crate) async fn footer(&self, block: &BlockMeta) -> Result<Footer> {
        if let Some(known) = self.footers.lock().unwrap_or_else(PoisonError::into_inner).get(block.id) {
            return Ok(known);
        }
        // The columns are known. What a block says of them itself is not asked: where it is damaged, decoding
        // it panics.
        let columns = schema(block.format).ok_or_else(|| {
            let text = format!("block {} is of format {}, which a later version wrote", name(block.id), block.format);
            Error::internal(text)
        })?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional).with_schema(columns);
        let arrow = ArrowReaderMetadata::load_async(&mut self.reader(block), options)
            .await
            .map_err(|error| block_error(block.id, error))?;
        let kinds = field_kinds(block.format, arrow.metadata())
            .map_err(|what| Error::internal(format!("block {}: {what}", name(block.id))))?;
        let windows = metric_windows(arrow.metadata()).map(Arc::from);
        let footer = Footer { arrow, kinds: Arc::new(kinds), windows };
        self.footers.lock().unwrap_or_else(PoisonError::into_inner).put(block.id, footer.clone());
        Ok(footer)
    }
}

/// A block's bytes.
#[derive(Debug, Clone)]
pub(crate) struct BlockFile {
    store: Arc<dyn ObjectStore>,
    path: object_store::path::Path,
    bytes: u64,
}

impl AsyncFileReader for BlockFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let bytes = async move { self.store.get_range(&self.path, range).await.map_err(parquet_error) };
        bytes.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let bytes = async move { self.store.get_ranges(&self.path, &ranges).await.map_err(parquet_error) };
        bytes.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = async move {
            let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
            let bytes = self.bytes;
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        };
        metadata.boxed()
    }
}

fn parquet_error(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl Footers {
    fn get(&mut self, id: u64) -> Option<Footer> {
        self.clock += 1;
        let kept = self.known.get_mut(&id)?;
        kept.used = self.clock;
        Some(kept.footer.clone())
    }

    fn put(&mut self, id: u64, footer: Footer) {
        self.clock += 1;
        self.remove(id);
        let windows = footer.windows.iter().flat_map(|all| all.iter()).map(MetricWindows::memory).sum::<usize>();
        let bytes = footer.arrow.metadata().memory_size() + footer.kinds.len() * 16 + windows;
        self.known.insert(id, Kept { footer, used: self.clock, bytes });
        self.bytes += bytes;
        while self.bytes > FOOTER_BYTES
            && let Some(oldest) = self.known.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id)
        {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(kept) = self.known.remove(&id) {
            self.bytes -= kept.bytes;
        }
    }
}

pub(crate) fn name(id: u64) -> object_store::path::Path {
    object_store::path::Path::from(format!("{id:012}.parquet"))
}

/// A file with the name of a block, or of one being written: the store puts `#` and a number behind it.
fn is_ours(path: &Path) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(file) = path.file_name().and_then(|file| file.to_str()) else { return false };
    let (block, staged) = file.split_once('#').map_or((file, None), |(block, staged)| (block, Some(staged)));
    // Ids beyond twelve digits are longer.
    block.strip_suffix(".parquet").is_some_and(|id| id.len() >= 12 && digits(id))
        && staged.is_none_or(digits)
        && path.symlink_metadata().is_ok_and(|known| known.is_file())
}

pub(crate) fn block_error(id: u64, error: impl std::error::Error) -> Error {
    let mut message = format!("block {}: {error}", name(id));
    let mut source = error.source();
    let mut full = false;
    while let Some(cause) = source {
        full |= cause.downcast_ref::<std::io::Error>().is_some_and(crate::error::is_full);
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    if full { Error::unavailable(message) } else { Error::internal(message) }
}

fn store_error(error: object_store::Error) -> Error {
    Error::internal(error.to_string())
}
