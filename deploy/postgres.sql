-- Beside Feast's registry, for which the container makes its own: the tables of MLflow's server.
create database mlflow;
