//! Reading models' files: every quantization format against two outside witnesses (candle and ggml's Python package),
//! both containers against the files their own packages write, and the set of files itself.

mod containers;

use std::cell::RefCell;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use containers::{Gguf, files, fixture, safetensors};
use inkling::files::{Files, ReadSeek};
use inkling::kernels::Format;
use inkling::weights::Weights;

fn open_gguf(bytes: &[u8]) -> Weights {
    Weights::gguf(&mut files(&[("model.gguf", bytes)]), "model.gguf").unwrap()
}

fn open_safetensors(bytes: &[u8]) -> Weights {
    Weights::safetensors(&mut files(&[("model.safetensors", bytes)])).unwrap()
}

fn values(weights: &mut Weights, name: &str) -> Vec<f32> {
    let info = weights.expect(name).unwrap();
    let (format, len) = (info.format, info.shape.iter().product());
    let mut out = vec![f32::NAN; len];
    format.dequantize(&weights.read(name).unwrap(), &mut out);
    out
}

fn assert_same_bits(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours.to_bits(), theirs.to_bits(), "{what}, value {i}: {ours} and {theirs}");
    }
}

/// candle quantizes, both dequantize.
#[test]
fn formats_decode_as_candle_does() {
    let len = 64 * 256;
    let mut state = 1u64;
    let source: Vec<f32> = (0..len)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    let tensor = Tensor::new(source, &Device::Cpu).unwrap();
    for format in Format::ALL {
        let dtype = match format {
            Format::F32 => GgmlDType::F32,
            Format::F16 => GgmlDType::F16,
            Format::BF16 => GgmlDType::BF16,
            Format::Q8_0 => GgmlDType::Q8_0,
            Format::Q4_0 => GgmlDType::Q4_0,
            Format::Q4_1 => GgmlDType::Q4_1,
            Format::Q5_0 => GgmlDType::Q5_0,
            Format::Q5_1 => GgmlDType::Q5_1,
            Format::Q4_K => GgmlDType::Q4K,
            Format::Q5_K => GgmlDType::Q5K,
            Format::Q6_K => GgmlDType::Q6K,
        };
        assert_eq!((format.block_len(), format.block_bytes()), (dtype.block_size(), dtype.type_size()), "{format:?}");
        let quantized = QTensor::quantize(&tensor, dtype).unwrap();
        let theirs = quantized.dequantize(&Device::Cpu).unwrap().to_vec1::<f32>().unwrap();
        let mut ours = vec![f32::NAN; len];
        format.dequantize(&quantized.data().unwrap(), &mut ours);
        assert_same_bits(&ours, &theirs, format.name());
    }
}

/// Random blocks, decoded by `gguf.quants.dequantize`; both files come through this engine's own readers.
#[test]
fn formats_decode_as_ggml_does() {
    let mut ours = open_gguf(&fixture("formats.gguf"));
    let mut theirs = open_safetensors(&fixture("formats.safetensors"));
    for format in Format::ALL {
        let name = format.name();
        assert_eq!(ours.info(name).unwrap().format, format);
        assert_eq!(ours.info(name).unwrap().shape, [3, 256]);
        assert_same_bits(&values(&mut ours, name), &values(&mut theirs, name), name);
    }
    assert_eq!(ours.info("cube").unwrap().shape, [2, 3, 4]);
    assert_same_bits(&values(&mut ours, "cube"), &values(&mut theirs, "cube"), "cube");
}

#[test]
fn formats_have_ggmls_numbers() {
    for format in Format::ALL {
        assert_eq!(Format::from_ggml(format.to_ggml()), Some(format));
        assert_eq!(format.row_bytes(format.block_len() * 3), Some(format.block_bytes() * 3));
        assert_eq!(format.row_bytes(0), Some(0));
    }
    assert_eq!(Format::from_ggml(11), None, "Q3_K");
    assert_eq!(Format::Q4_K.row_bytes(128), None);
    assert_eq!(Format::F32.row_bytes(usize::MAX), None);
}

#[test]
fn metadata_of_every_type() {
    let weights = open_gguf(&fixture("formats.gguf"));
    let metadata = weights.metadata();
    let u64 = |key| metadata.get_u64(key).unwrap();
    let f64 = |key| metadata.get_f64(key).unwrap();
    assert_eq!(metadata.get_str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(u64("test.u8"), Some(200));
    assert_eq!(u64("test.u16"), Some(60_000));
    assert_eq!(u64("test.u32"), Some(4_000_000_000));
    assert_eq!(u64("test.u64"), Some((1 << 63) + 1));
    assert_eq!(f64("test.i8"), Some(-100.0));
    assert_eq!(f64("test.i16"), Some(-30_000.0));
    assert_eq!(f64("test.i32"), Some(-2_000_000_000.0));
    assert_eq!(f64("test.i64"), Some(-((1u64 << 62) as f64)));
    assert_eq!(f64("test.f32"), Some(f64::from(0.1f32)));
    assert_eq!(f64("test.f64"), Some(0.1));
    assert_eq!(metadata.get_bool("test.true").unwrap(), Some(true));
    assert_eq!(metadata.get_bool("test.false").unwrap(), Some(false));
    assert_eq!(metadata.get_str("test.string").unwrap(), Some("Größe 龍 🐉"));
    assert_eq!(metadata.get_str_array("test.strings").unwrap().unwrap(), ["", "▁the", "Ġthe", "龍"]);
    assert_eq!(metadata.get_i32_array("test.ints").unwrap().unwrap(), [1, -2, 3]);
    assert_eq!(metadata.get_f32_array("test.floats").unwrap().unwrap(), [0.5, -1.5, 1e-3]);
    assert!(metadata.contains("test.bools") && metadata.keys().any(|key| key == "test.bools"));
    assert_eq!(u64("test.absent"), None);

    let error = metadata.get_u64("test.string").unwrap_err();
    assert_eq!(error.code(), "bad_config");
    assert!(error.to_string().contains("test.string") && error.to_string().contains("龍"), "{error}");
    assert_eq!(metadata.get_u64("test.i8").unwrap_err().code(), "bad_config");
    assert_eq!(metadata.get_f32_array("test.bools").unwrap_err().code(), "bad_config");
}

#[test]
fn version_2_and_types_that_cannot_be_read() {
    let mut weights = open_gguf(&fixture("version2.gguf"));
    assert_eq!(weights.metadata().get_u64("gpt2.context_length").unwrap(), Some(16));
    assert_eq!(values(&mut weights, "vector"), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(&mut weights, "half"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(weights.total_bytes(), 5 * 4 + 6 * 2);
    for name in ["Q3_K", "IQ4_NL", "I32"] {
        assert!(weights.contains(name) && weights.names().any(|other| other == name));
        assert!(weights.info(name).is_none());
        let error = weights.read(name).unwrap_err();
        assert_eq!(error.code(), "unsupported");
        assert!(error.to_string().contains(name) && error.to_string().contains("Q4_K"), "{error}");
    }
    assert_eq!(weights.read("absent").unwrap_err().code(), "missing_tensor");
}

#[test]
fn safetensors_of_mixed_types() {
    let mut weights = open_safetensors(&fixture("mixed.safetensors"));
    for (name, format) in [("single", Format::F32), ("half", Format::F16), ("brain", Format::BF16)] {
        let info = weights.info(name).unwrap();
        assert_eq!((info.format, info.shape.as_slice()), (format, &[2, 3][..]));
        assert_eq!(values(&mut weights, name), [1.0, -2.5, 0.0, 0.15625, 1024.0, -3.0]);
    }
    assert_eq!(values(&mut weights, "scalar"), [7.0]);
    for (name, dtype) in [("ids", "I64"), ("mask", "BOOL")] {
        assert!(weights.contains(name));
        let error = weights.read(name).unwrap_err();
        assert_eq!(error.code(), "bad_tensor");
        assert!(error.to_string().contains(dtype), "{error}");
    }
}

#[test]
fn shards() {
    let (a, b) = (safetensors(&[("x", 4), ("y", 2)]), safetensors(&[("z", 3)]));
    let index =
        br#"{"metadata":{"total_size":36},"weight_map":{"x":"a.safetensors","y":"a.safetensors","z":"b.safetensors"}}"#;
    let shards: [(&str, &[u8]); 3] =
        [("m/model.safetensors.index.json", index), ("m/a.safetensors", &a), ("m/b.safetensors", &b)];
    let mut weights = Weights::safetensors(&mut files(&shards)).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["x", "y", "z"]);
    assert_eq!(weights.total_bytes(), 36);
    assert_eq!(weights.read("z").unwrap(), (0..12).collect::<Vec<u8>>());
    assert_eq!(weights.read("y").unwrap(), (16..24).collect::<Vec<u8>>());

    let error = Weights::safetensors(&mut files(&shards[..2])).err().unwrap();
    assert_eq!(error.code(), "missing_file");
    assert!(error.to_string().contains("b.safetensors"), "{error}");
}

/// A reader that notes how much is asked of it at a time.
struct Watched(Cursor<Vec<u8>>, Rc<RefCell<usize>>);

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut largest = self.1.borrow_mut();
        *largest = buffer.len().max(*largest);
        self.0.read(buffer)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl ReadSeek for Watched {}

#[test]
fn reads_in_pieces_and_tells_progress() {
    const LEN: usize = 12 << 20;
    let file = safetensors(&[("big", LEN), ("small", 5)]);
    let (largest, calls) = (Rc::new(RefCell::new(0)), Rc::new(RefCell::new(Vec::new())));
    let mut files = Files::new();
    files.insert("model.safetensors", Box::new(Watched(Cursor::new(file), largest.clone())));
    let mut weights = Weights::safetensors(&mut files).unwrap();
    let seen = calls.clone();
    weights.set_progress(Box::new(move |loaded, total| seen.borrow_mut().push((loaded, total))));
    let bytes = weights.read("big").unwrap();
    assert_eq!((bytes.len(), bytes.capacity()), (4 * LEN, 4 * LEN));
    weights.read("small").unwrap();
    weights.read("small").unwrap();
    let total = 4 * LEN as u64 + 20;
    let piece = 16 << 20;
    let expected: Vec<_> = [piece, 2 * piece, 3 * piece, total, total].map(|loaded| (loaded, total)).to_vec();
    assert_eq!(*calls.borrow(), expected);
    assert!(*largest.borrow() <= 16 << 20);
}

#[test]
fn names_lose_the_folder_they_share() {
    let names = |list: &[&str]| -> Vec<String> {
        let list: Vec<(&str, &[u8])> = list.iter().map(|name| (*name, &b"{}"[..])).collect();
        files(&list).names().map(str::to_string).collect()
    };
    assert_eq!(names(&["m/config.json", "m/onnx/a.json"]), ["config.json", "onnx/a.json"]);
    assert_eq!(names(&["m/x/config.json", "m/x/a.json"]), ["a.json", "config.json"]);
    assert_eq!(names(&["m/config.json", "model/a.json"]), ["m/config.json", "model/a.json"]);
    assert_eq!(names(&[r"m\config.json"]), ["config.json"]);
    assert_eq!(names(&["config.json", "m/a.json"]), ["config.json", "m/a.json"]);

    let mut files = files(&[("m/config.json", b"{\"a\":1}"), ("m/x.safetensors", b"")]);
    assert!(files.contains("config.json") && !files.contains("m/config.json"));
    assert_eq!(files.read_all("config.json", 7).unwrap(), b"{\"a\":1}");
    assert_eq!(files.read_all("config.json", 6).unwrap_err().code(), "bad_file");
    assert_eq!(files.read_json::<serde_json::Value>("config.json", 100).unwrap()["a"], 1);
    let error = files.read_all("tokenizer.json", 100).unwrap_err();
    assert_eq!(error.code(), "missing_file");
    assert!(error.to_string().contains("tokenizer.json") && error.to_string().contains("x.safetensors"), "{error}");
    assert!(files.take("x.safetensors").is_some() && files.take("x.safetensors").is_none());
}

#[test]
fn the_gguf_among_the_files() {
    let file = Gguf::new().bytes();
    assert_eq!(files(&[("readme.md", b"hi"), ("weights.bin", &file)]).gguf().unwrap(), "weights.bin");
    assert_eq!(files(&[("a.gguf", b"<html>"), ("b", &file)]).gguf().unwrap(), "b");
    assert_eq!(files(&[("a.GGUF", b"<html>")]).gguf().unwrap(), "a.GGUF");
    assert_eq!(files(&[("a.json", b"{}")]).gguf(), None);
    assert_eq!(files(&[("config.json", b"{}"), ("model.safetensors", b""), ("a.gguf", &file)]).gguf(), None);
    let error = Weights::gguf(&mut files(&[("a.gguf", &file), ("b.gguf", &file)]), "a.gguf").err().unwrap();
    assert!(error.to_string().contains("a.gguf, b.gguf"), "{error}");
}

#[test]
fn opens_folders_and_files() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    let mut one = Files::open(&fixtures.join("version2.gguf")).unwrap();
    assert_eq!(one.gguf().as_deref(), Some("version2.gguf"));
    assert!(Weights::gguf(&mut one, "version2.gguf").is_ok());
    assert!(Files::open(&fixtures).unwrap().contains("mixed.safetensors"));

    let code = |path: &Path| Files::open(path).err().unwrap().code();
    assert_eq!(code(&fixtures.join("absent.gguf")), "missing_file");
    assert_eq!(code(&fixtures.join("mixed.safetensors")), "bad_file");
    let error = Files::open(&fixtures.join("../../containers")).err().unwrap();
    assert_eq!(error.code(), "missing_file");
    assert!(error.to_string().contains("mod.rs"), "{error}");
}

/// A real trained model, where the shared data are present.
#[test]
fn stories260k() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/checkpoints/stories260K.gguf");
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return;
    }
    let mut files = Files::open(&path).unwrap();
    let name = files.gguf().unwrap();
    let mut weights = Weights::gguf(&mut files, &name).unwrap();
    assert_eq!(weights.metadata().get_str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(weights.metadata().get_str_array("tokenizer.ggml.tokens").unwrap().map(<[_]>::len), Some(512));
    assert_eq!(weights.info("token_embd.weight").unwrap().shape, [512, 64]);
    let names: Vec<String> = weights.names().map(str::to_string).collect();
    let mut bytes = 0;
    for name in names {
        bytes += weights.read(&name).unwrap().len() as u64;
        assert!(values(&mut weights, &name).iter().all(|value| value.abs() < 100.0), "{name}");
    }
    assert_eq!(bytes, weights.total_bytes());
}
