"""The tables; what each promises stands in its constraints."""

from models_store.columns import Base
from models_store.tables.certificates import Certificate, Shadow
from models_store.tables.data import Dataset, Sample, Shard
from models_store.tables.house import Blob, Event, Lock, Offer, Secret, Tombstone, Worker
from models_store.tables.pools import Pool, PoolMember
from models_store.tables.tunings import Trial, TunedParams
from models_store.tables.versions import Audit, AuditTest, Model, Version, VersionSample
from models_store.tables.work import Attempt, ForgetRequest, Job, JobRequest, RequestSample

__all__ = [
    "Attempt",
    "Audit",
    "AuditTest",
    "Base",
    "Blob",
    "Certificate",
    "Dataset",
    "Event",
    "ForgetRequest",
    "Job",
    "JobRequest",
    "Lock",
    "Model",
    "Offer",
    "Pool",
    "PoolMember",
    "RequestSample",
    "Sample",
    "Secret",
    "Shadow",
    "Shard",
    "Tombstone",
    "Trial",
    "TunedParams",
    "Version",
    "VersionSample",
    "Worker",
]
