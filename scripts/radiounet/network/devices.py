"""What the framework computes on: CPU threads or GPUs, and what these can do."""

import logging
import os
import re
from pathlib import Path

import keras

logger = logging.getLogger(__name__)

AMPERE = 8
"""Compute capability of the first GPUs that multiply bfloat16."""
CPU = Path("/proc/cpuinfo")


def use_threads(count: int) -> None:
    """Bound the CPU threads of the TensorFlow backend; call before any computation.

    Its convolutions are those of oneDNN on every x86 processor, see ``radiounet/__init__.py``.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def gpus() -> list[str]:
    """Names of the GPUs that the backend sees."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
        return [tf.config.experimental.get_device_details(one).get("device_name", one.name) for one in found]
    if backend == "jax":
        import jax

        return [one.device_kind for one in jax.devices() if one.platform != "cpu"]
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def devices() -> str:
    """What the backend computes on: names of its GPUs, or the number of CPU threads."""
    return ", ".join(gpus()) or f"{cpu_threads()} CPU threads"


def cpu_threads() -> int | None:
    """CPU threads that the backend computes on, which its last digits depend on; None with a GPU."""
    if gpus():
        return None
    threads = 0
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        threads = tf.config.threading.get_intra_op_parallelism_threads()
    return threads or len(os.sched_getaffinity(0))


def gpu_bytes() -> int:
    """Memory of the first GPU, bytes."""
    import subprocess

    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
        return int(answer.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        logger.warning("the memory of the GPU is not known (%s): assuming 8 GB", error)
        return 8 * 2**30


def multiplies_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32.

    On a GPU since Ampere; with TensorFlow on a CPU with AMX, or one of AMD with AVX512_BF16.
    """
    if gpus():
        return _compute_capability() >= AMPERE
    if keras.backend.backend() != "tensorflow" or not CPU.is_file():  # where float32 is right, too
        return False
    facts = CPU.read_text(encoding="utf-8", errors="replace")
    return "amx_bf16" in facts or ("AuthenticAMD" in facts and "avx512_bf16" in facts)


def _compute_capability() -> int:
    """Major version of what the first GPU can do, as NVIDIA counts; 0 for one of another maker."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        first = tf.config.list_physical_devices("GPU")[0]
        return int(tf.config.experimental.get_device_details(first).get("compute_capability", (0,))[0])
    if backend == "jax":
        import jax

        # AMD's are called gfx90a, for example
        known = re.fullmatch(r"(\d+)(\.\d+)?", str(getattr(jax.devices()[0], "compute_capability", 0)))
        return int(known[1]) if known else 0
    import torch

    return 0 if torch.version.hip else torch.cuda.get_device_capability()[0]
