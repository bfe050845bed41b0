DROP TABLE current_generations;
DROP TABLE generations;
DROP TABLE call_events;
DROP TABLE calls;
DROP TABLE phone_numbers;
DROP TABLE agents;
DROP TABLE configurations;
DROP TABLE meta;
