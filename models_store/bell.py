"""The bell: wakes a worker for a job. It may be lost, late or doubled; the row is the truth."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import Celery
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError
from pydantic import SecretStr
from redis import RedisError

from models_store.life import Queue

CARRY_OUT = "lethe.carry_out"
SIX_HOURS = 6 * 3600
AWAY = (OperationalError, RedisError, OSError)
"""A broker that is down, hangs, or says no because it is full."""

COMMON: dict[str, Any] = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "result_backend": None,  # the state of a job is in SQL and nowhere else
    "task_ignore_result": True,
    "task_create_missing_queues": False,  # a typing error fails loudly
    "task_queues": [KombuQueue(queue.value, routing_key=queue.value) for queue in Queue],
    "task_default_queue": Queue.UPKEEP.value,
}

# The producer must never hold up an answer: a refused, hung or unreachable broker costs at most
# some 0.2 s (measured: docs/adr/0007). A bell that was not heard is rung again by the relay.
RINGING: dict[str, Any] = {
    "broker_connection_timeout": 0.2,
    "broker_connection_retry_on_startup": False,
    "broker_pool_limit": 4,
    "broker_transport_options": {
        "global_keyprefix": "lethe:",
        "socket_connect_timeout": 0.1,
        "socket_timeout": 0.2,
        "retry_on_timeout": False,
        "max_retries": 0,
    },
}

LISTENING: dict[str, Any] = {
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "global_keyprefix": "lethe:",
        # Longer than the longest job: a message is not delivered again while its job runs.
        "visibility_timeout": SIX_HOURS,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "retry_on_timeout": True,
    },
    "visibility_timeout": SIX_HOURS,
    "task_acks_late": True,
    "task_acks_on_failure_or_timeout": True,  # a failed attempt is recorded in SQL
    "task_reject_on_worker_lost": False,  # the reaper decides on another attempt, and counts them
    "worker_prefetch_multiplier": 1,
    "worker_concurrency": 1,  # one worker a device
    "worker_pool": "prefork",
    "worker_pool_start_method": "spawn",  # CUDA and psycopg do not survive a fork
    "worker_proc_alive_timeout": 120.0,  # a replacement child imports torch first
    "worker_max_tasks_per_child": 500,  # rings for jobs that others took count too
    "worker_soft_shutdown_timeout": 30.0,
    "worker_enable_soft_shutdown_on_idle": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # the lease decides
    "worker_redirect_stdouts": False,
    "worker_hijack_root_logger": False,
}


@dataclass(frozen=True, slots=True)
class Bell:
    """Rings over Celery where there is a broker; without one, workers look for themselves."""

    celery: Celery | None

    @classmethod
    def hung(cls, broker_url: SecretStr | None) -> "Bell":
        """The bell of a process that rings (API, relay, or a worker that opens the next job)."""
        if broker_url is None:
            return cls(None)
        app = Celery("lethe", broker=broker_url.get_secret_value(), set_as_current=False)
        app.conf.update(COMMON | RINGING)
        return cls(app)

    def ring(self, job_id: UUID, attempt: int, queue: Queue) -> bool:
        """Wake a worker of this queue; False if the broker did not take it.

        The job is named for the logs: a worker takes what is most urgent by then.
        """
        if self.celery is None:
            return True
        try:
            self.celery.send_task(
                CARRY_OUT,
                task_id=f"{job_id}:{attempt}",
                queue=queue.value,
                retry=False,
            )
        except AWAY:
            return False
        return True

    def answers(self) -> bool:
        """Is there a broker, or no need of one?"""
        if self.celery is None:
            return True
        try:
            with self.celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        except AWAY:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        if self.celery is not None:
            self.celery.close()


def listener(broker_url: SecretStr) -> Celery:
    """The Celery app of a worker: patient where the producer's is hasty."""
    app = Celery("lethe", broker=broker_url.get_secret_value())
    app.conf.update(COMMON | LISTENING)
    return app
