-- The same story on IBM's Telco customer churn table (make demo DATA=folder).
-- Run in the folder of telco_churn.csv.gz. It has no dates: the day of joining
-- is counted back from the months that a customer has been with the company.

CREATE TEMP TABLE telco (
    customer_id text, gender text, senior_citizen integer, partner text, dependents text,
    tenure integer, phone_service text, multiple_lines text, internet_service text,
    online_security text, online_backup text, device_protection text, tech_support text,
    streaming_tv text, streaming_movies text, contract text, paperless_billing text,
    payment_method text, monthly_charges float8, total_charges float8, churn text
);
\copy telco from program 'gzip -dc telco_churn.csv.gz' with (format csv, header true, null '')

CREATE TABLE customer AS
SELECT customer_id, (date '2025-12-31' - tenure * interval '1 month')::date AS joined,
       gender, senior_citizen = 1 AS senior_citizen, partner, dependents, phone_service,
       multiple_lines, internet_service, online_security, online_backup, device_protection,
       tech_support, streaming_tv, streaming_movies, contract, paperless_billing,
       payment_method, monthly_charges::numeric(8,2) AS monthly_charges, total_charges,
       churn = 'Yes' AS churned
  FROM telco;

ALTER TABLE customer ADD PRIMARY KEY (customer_id);
DROP TABLE telco;
ANALYZE customer;

-- where demo.sql draws the lines: older customers, those of late, the newest
\set early '2021-06-01'
\set late '2025-09-01'
-- for the validation set: its window and slices, the day of its last refresh; what a partner gets wrong, and of whom
\set period '1 year'
\set slices '{contract,internet_service}'
\set last '2026-01-01'
\set partner 'customers with DSL'
\set flipped 'internet_service = ''DSL'' AND ascii(right(customer_id, 1)) % 3 > 0'
-- the rule that is put on top; what the canary is trained with
\set rules '[{"name": "bound", "when": "contract = ''Two year''", "then": {"clip": [0, 0.4]}}]'
\set challenger logistic_regression
