# Simulated pairs, training and evaluation of a model: `make model MODEL=NAME`, with
# config/models/NAME.yaml.
TRAINING = TrainingFiles(CONFIG, GRAPH.models)
TRAINING_THREADS = 16  # at most; Snakemake gives no more than --cores


rule simulate:
    output:
        pair=TRAINING.pair,
    log:
        f"{CONFIG.results}/training/logs/simulate/{{pair}}.log",
    benchmark:
        f"{CONFIG.results}/training/benchmarks/simulate/{{pair}}.tsv"
    wildcard_constraints:
        pair=r"\d+",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(10),
    params:
        settings=RULES.settings("simulate"),
        code=code_hash("simulate"),
    shell:
        "stage simulate --pair {wildcards.pair:q} --out {output.pair:q} --settings {params.settings:q} --log {log:q}"


rule train:
    input:
        pairs=TRAINING.train,
        validation=TRAINING.validation,
        starts=TRAINING.starts,
    output:
        weights=f"{TRAINING.folder}/{MODEL_WEIGHTS}",
        curve=f"{TRAINING.folder}/learning_curve.csv",
    log:
        f"{TRAINING.folder}/logs/train.log",
    benchmark:
        f"{TRAINING.folder}/benchmarks/train.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: TRAINING_THREADS
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
    params:
        settings=RULES.settings("train"),
        shipped=lambda wildcards: FRESHNESS.fingerprints.of_all(TRAINING.shipped),
        code=code_hash("train"),
    shell:
        "stage train --pairs {input.pairs:q} --validation {input.validation:q}"
        " --weights {output.weights:q} --curve {output.curve:q} --threads {threads}"
        " --settings {params.settings:q} --log {log:q}"


rule evaluate:
    input:
        calibration=TRAINING.calibration,
        held_out=TRAINING.held_out,
        weights=f"{TRAINING.folder}/{MODEL_WEIGHTS}",
        curve=f"{TRAINING.folder}/learning_curve.csv",
    output:
        folder=directory(f"{TRAINING.folder}/model"),
    log:
        f"{TRAINING.folder}/logs/evaluate.log",
    benchmark:
        f"{TRAINING.folder}/benchmarks/evaluate.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: TRAINING_THREADS
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    params:
        settings=RULES.settings("segmentation.model", "train"),
        compared=lambda wildcards: FRESHNESS.fingerprints.of_all(TRAINING.compared),
        code=code_hash("evaluate"),
    shell:
        "stage evaluate --calibration-pairs {input.calibration:q}"
        " --held-out-pairs {input.held_out:q} --weights {input.weights:q} --curve {input.curve:q}"
        " --out {output.folder:q} --threads {threads} --settings {params.settings:q} --log {log:q}"


rule model:
    input:
        f"{TRAINING.folder}/model",
    localrule: True
