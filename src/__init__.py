"""The same arithmetic on every x86-64 processor, and threads that wait their turn.

NumPy and OpenBLAS choose their code by the processor, and the choices differ in the last bits. `python -m src...` runs
this file before it imports either, which leaves them the code that every such processor has; one BLAS thread, because
a sum depends on how it is shared out.

OpenMP's threads wait for each other spinning. Without end they stall on a busy machine (boosting here: nine times
slower); not at all, and boosting is twice as slow on an idle one. A short spin costs nothing in either.
"""

import os

os.environ |= {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENBLAS_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "10000",
}
