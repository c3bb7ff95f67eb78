# Airflow with this package: the locked dependencies, which are those that the tests run with, and beside one
# another dags, plugins and include.
FROM python:3.11.15-slim-bookworm

ENV AIRFLOW_HOME=/opt/airflow PYTHONUNBUFFERED=1 SCARF_ANALYTICS=false
RUN useradd --uid 50000 --gid 0 --create-home --home-dir /opt/airflow airflow \
    && install --directory --owner airflow --group root /opt/airflow/logs /opt/airflow/auth
WORKDIR /opt/airflow

COPY requirements.txt requirements-deploy.txt constraints.txt ./
RUN pip install --no-cache-dir --requirement requirements-deploy.txt --constraint constraints.txt

COPY dags ./dags
COPY plugins ./plugins
COPY include ./include
COPY demo ./demo

USER airflow
CMD ["airflow", "version"]
